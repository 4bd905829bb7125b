"""Median-frequency weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, Weight, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyWeight(Weight, frozen=True):
    """Weigh a class by how much rarer it is than the median class: `w_c = (median(n) / n_c) ** power`.

    The median class has the weight 1. A class without images is treated as having one.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_weight"

    power: Annotated[
        float, Meta(ge=0, le=1, description="0: all weights are 1; 1: inverse class frequency"), Tune(0.25, 1.0)
    ] = 0.5

    def weights(self, counts: Tensor) -> Tensor:
        """Return the weight of each class, float32 [C]. counts: int64 [C]."""
        present = counts.double().clamp(min=1)
        # For an even number of classes, quantile averages the two in the middle.
        return ((present.quantile(0.5) / present) ** self.power).float()


@hookimpl
def ltbench_weights() -> list[type[Weight]]:
    return [MyWeight]
