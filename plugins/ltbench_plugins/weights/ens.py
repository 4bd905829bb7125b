"""Inverse effective number of samples: class-balanced weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, Weight, hookimpl
from ltbench_plugins._notes import WITH_RESAMPLING
from ltbench_plugins.weights._normalised import NormalisedWeight

if TYPE_CHECKING:
    from torch import Tensor


class Ens(NormalisedWeight, frozen=True):
    """Weigh a class by the inverse of its effective number of images (class-balanced loss).

    `w_c = (1 - beta) / (1 - beta ** n_c)`. With beta = 0 all weights are equal, and as beta approaches 1 they
    approach those of `ins`: more than about 1 / (1 - beta) images of a class change its weight little. The
    class-balanced focal loss is this weight with the loss `focal` or `sigmoid_focal`.

    The weights are scaled to mean one, as in Cui et al. (their sum is the number of classes); report rivadeneira prints
    them with sum one. `reduction` divides the loss of a batch by its size, as in Cui et al., or by the sum of its
    weights, which cancels the scale.

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4 (the
    class-balanced term); report rivadeneira, "CB-Focal"; report wong, "Weighted Loss" (ENS).
    """

    name = "ens"
    doubtful = WITH_RESAMPLING

    beta: Annotated[
        float,
        Meta(ge=0, lt=1, description="0: no weights; near 1: inverse number of images"),
        Tune(choices=(0.9, 0.99, 0.999, 0.9999)),
    ] = 0.9999

    def all_are_one(self) -> bool:
        return not self.beta

    def formula(self, counts: Tensor) -> Tensor:
        return (1 - self.beta) / (1 - self.beta**counts)


@hookimpl
def ltbench_weights() -> list[type[Weight]]:
    return [Ens]
