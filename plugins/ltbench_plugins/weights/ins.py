"""Inverse number of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Weight, hookimpl
from ltbench_plugins._notes import WITH_RESAMPLING
from ltbench_plugins.weights._normalised import NormalisedWeight

if TYPE_CHECKING:
    from torch import Tensor


class Ins(NormalisedWeight, frozen=True):
    """Weigh a class by the inverse of its number of images: `w_c = 1 / n_c`.

    Over an epoch every class has the same total weight, as with a balanced sampler. The weight of an image of the rarest
    class is larger by the imbalance factor than that of one of the most frequent class. `normalize` sets the scale of
    the weights; `reduction` divides the loss of a batch by its size, or by the sum of its weights, which cancels the
    scale.

    Source: report wong, "Weighted Loss" (INS).
    """

    name = "ins"
    doubtful = WITH_RESAMPLING

    def formula(self, counts: Tensor) -> Tensor:
        return counts.reciprocal()


@hookimpl
def ltbench_weights() -> list[type[Weight]]:
    return [Ins]
