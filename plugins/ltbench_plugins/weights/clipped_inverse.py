"""Inverse class frequency within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, Weight, hookimpl
from ltbench_plugins.weights._normalised import NormalisedWeight, Normalize

if TYPE_CHECKING:
    from torch import Tensor


class ClippedInverse(NormalisedWeight, frozen=True):
    """Weigh a class by its inverse frequency, clipped between 1 and a power of the number of classes.

    `w_c = N / (n_c * C)`, clipped to [1, C ** power]: [1, 1.78] for 10 classes, [1, 3.16] for 100. According to the
    report, training does not converge with weights far from 1. As in the report, the loss of a batch is divided by its
    size (equation 4) and the weights are not scaled; the other values of `normalize` and `reduction` are additions.

    Designed for `balanced_batch`, in which every class has the same share of a batch and only the weights distinguish
    classes. So this pair is not marked as doubtful.

    Source: report park, equations 3 and 4.
    """

    name = "clipped_inverse"

    normalize: Normalize = "none"
    power: Annotated[
        float,
        Meta(ge=0, description="the largest weight is the number of classes to the power of this"),
        Tune(0.1, 0.6),
    ] = 0.25

    def all_are_one(self) -> bool:
        return not self.power

    def formula(self, counts: Tensor) -> Tensor:
        frequency = counts.sum() / (counts * len(counts))
        return frequency.clamp(min=1, max=len(counts) ** self.power)


@hookimpl
def ltbench_weights() -> list[type[Weight]]:
    return [ClippedInverse]
