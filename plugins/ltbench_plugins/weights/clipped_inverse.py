"""Inverse class frequency within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Weight, hookimpl
from ltbench_plugins.weights._normalised import NormalisedWeight, Normalize

if TYPE_CHECKING:
    from torch import Tensor


class ClippedInverse(NormalisedWeight, frozen=True):
    """Weigh a class by its inverse frequency, neither below 1 nor above a root of the number of classes.

    `w_c = N / (n_c * C)`, clipped to [1, C ** power]: [1, 1.78] for 10 classes, [1, 3.16] for 100. The report found
    that training does not converge with weights far from 1. The loss of a batch is divided by its size (equation 4),
    and the weights are not scaled any further; other choices of `normalize` and `reduction` are this project's.

    Made for `balanced_batch`, which shows the images of rare classes many times: there, a class has the same part of
    every batch and the weight is what is left to tell the classes apart. So that pair carries no note.

    Source: report park, equations 3 and 4.
    """

    name = "clipped_inverse"

    normalize: Normalize = "none"
    power: Annotated[float, Meta(ge=0, description="the largest weight is the number of classes to this power")] = 0.25

    def formula(self, counts: Tensor) -> Tensor:
        frequency = counts.sum() / (counts * len(counts))
        return frequency.clamp(min=1, max=len(counts) ** self.power)


@hookimpl
def ltbench_weights() -> list[type[Weight]]:
    return [ClippedInverse]
