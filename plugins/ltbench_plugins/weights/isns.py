"""Inverse square root of the number of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Weight, hookimpl
from ltbench_plugins._notes import WITH_BALANCED_SAMPLERS
from ltbench_plugins.weights._normalised import NormalisedWeight

if TYPE_CHECKING:
    from torch import Tensor


class Isns(NormalisedWeight, frozen=True):
    """Weigh a class by the inverse square root of its number of images: `w_c = 1 / sqrt(n_c)`.

    On a logarithmic scale, this is half-way between no weights and `ins`. The report calls it "inverse square number of
    samples", but its formula has the square root. `normalize` sets the scale of the weights; `reduction` divides the
    loss of a batch by its size, or by the sum of its weights, which cancels the scale.

    Source: report wong, "Weighted Loss" (ISNS).
    """

    name = "isns"
    doubtful = WITH_BALANCED_SAMPLERS

    def formula(self, counts: Tensor) -> Tensor:
        return counts.rsqrt()


@hookimpl
def ltbench_weights() -> list[type[Weight]]:
    return [Isns]
