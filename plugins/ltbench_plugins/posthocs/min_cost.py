"""The decision of the lowest expected cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from ltbench import Meta, Posthoc, hookimpl
from ltbench.costs import cost_rules, read_costs
from ltbench_plugins._notes import BEFORE_ADJUSTMENT

if TYPE_CHECKING:
    from typing import Any, Self

    from torch import Tensor

    from ltbench.stages import FloatArray, IntArray, LinearClassifier, Predicted


class MinCost(Posthoc, frozen=True):
    """Decide for the class of the lowest expected cost under the predicted probabilities.

    Deciding for class k costs `R_k = sum_t C[t, k] p_t`, with the cost `C[t, k]` of taking class t for k. The logits become
    `log(max C - R_k)`, whose largest is the best decision. If every error costs the same, these are the logarithms of the
    probabilities: nothing changes. Otherwise the new numbers rank decisions and are no probabilities, so calibration and
    likelihood of such a row say nothing. Views and members are averaged afterwards.

    The probabilities have to be those of the images that are decided on. With `prior=uniform`, of balanced classes, they are
    first divided by the training prior, as `prior_shift` does; with `prior=train` they are taken as they are: for test images
    that are distributed like the training images, or a training that has corrected the prior.

    Source: Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001, equation 1.
    """

    name = "min_cost"
    # Right where it makes the prior that of the images that are decided on, wrong elsewhere.
    doubtful = dict.fromkeys(BEFORE_ADJUSTMENT, "changes the class prior of the probabilities that min_cost decides by")

    costs: Annotated[
        str,
        Meta(description="true class > decision : cost, as cat>dog:5+*>cat:2, other errors 1; or FILE.csv, FILE.json"),
    ] = "*>*:1"
    prior: Annotated[
        Literal["uniform", "train"], Meta(description="class distribution of the images that are decided on")
    ] = "uniform"

    @classmethod
    def by_costs(cls, costs: str) -> Sequence[Self]:
        return [cls(costs=costs, prior="train"), cls(costs=costs, prior="uniform")]

    def check(self) -> None:
        # What counts is what is in a file, not where it is.
        msgspec.structs.force_setattr(self, "costs", read_costs(self.costs))

    def check_classes(self, classes: Sequence[str]) -> None:
        cost_rules(self.costs, tuple(classes))

    def adjust_with(
        self, state: Any, predicted: Predicted, counts: IntArray, classifier: LinearClassifier | None
    ) -> FloatArray:
        import numpy as np

        classes = predicted.classes or tuple(map(str, range(len(counts))))
        costs = cost_rules(self.costs, tuple(classes))
        logits = predicted.logits
        if self.prior == "uniform":
            logits = logits - np.log(np.maximum(counts, 1))
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        saved: FloatArray = costs.largest() - costs.expected(probabilities)
        return np.log(np.maximum(saved, np.finfo(np.float64).tiny))

    def in_torch(
        self, state: Any, counts: IntArray, classifier: LinearClassifier | None, classes: Sequence[str]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        import torch

        # In double precision, as small probabilities are differences of large ones.
        costs = torch.from_numpy(cost_rules(self.costs, tuple(classes)).matrix())
        shift = torch.tensor(counts).clamp_min(1).double().log() * (self.prior == "uniform")

        def decide(logits: Tensor, _features: Tensor) -> Tensor:
            saved = costs.max() - torch.softmax(logits.double() - shift, dim=-1) @ costs
            return saved.clamp_min(torch.finfo(saved.dtype).tiny).log().float()

        return decide


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [MinCost]
