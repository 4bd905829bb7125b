"""Scaling of class weights and reduction over a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Meta, Tune, Weight
from ltbench.errors import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

Normalize = Annotated[
    Literal["mean_one", "sum_one", "none"],
    Meta(description="scale of the weights: mean 1 (their sum is the number of classes), sum 1, or unscaled"),
]
Reduction = Annotated[
    Literal["mean", "weighted_mean"],
    Meta(description="loss of a batch: sum divided by its size (mean), or by the sum of its weights (weighted_mean)"),
    Tune("mean", "weighted_mean"),
]


class NormalisedWeight(Weight, frozen=True):
    """Class weights with a choice of scale and of reduction over the batch.

    `normalize` multiplies all weights by a constant; with `reduction = "mean"` this acts like a factor of the learning
    rate. `mean_one` (Cui et al.) preserves the loss of a balanced batch. The loss of a long-tailed batch is still
    smaller, as most of its images are of classes with a weight below 1. `sum_one` also divides by the number of classes,
    and `none` keeps the values of the formula.

    `reduction = "weighted_mean"` divides by the sum of the weights in the batch, as torch does with class weights. Then
    the scale of the loss does not depend on the classes in a batch, a rare image counts more in a batch of common ones,
    and a constant factor cancels out; so `normalize` cannot be combined with it.
    """

    normalize: Normalize = "mean_one"
    reduction: Reduction = "mean"

    def check(self) -> None:
        if self.reduction == "weighted_mean" and self.normalize != type(self)().normalize:
            raise ParameterError(
                f"weight '{self.name}' takes normalize or reduction = weighted_mean, not both: a weighted mean is the "
                "same for weights of any scale",
                fix="leave normalize out",
            )

    def without_effect(self) -> tuple[str, ...]:
        if not self.all_are_one():
            return ()
        return ("reduction",) if self.normalize == "sum_one" else ("reduction", "normalize")

    def all_are_one(self) -> bool:
        """Return whether the formula gives one for every class and any counts."""
        return False

    def formula(self, counts: Tensor) -> Tensor:
        """Return the weights before scaling, float64 [C]. counts: float64 [C], at least 1."""
        raise NotImplementedError

    def weights(self, counts: Tensor) -> Tensor:
        """Return the weight of each class, float32 [C]; a class without images is treated as having one."""
        weights = self.formula(counts.double().clamp(min=1))
        if self.normalize == "mean_one":
            weights = weights / weights.mean()
        elif self.normalize == "sum_one":
            weights = weights / weights.sum()
        return weights.float()

    def reduce(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of the batch. losses: weighted, float [B]; weights: float [B]."""
        return losses.mean() if self.reduction == "mean" else losses.sum() / weights.sum()
