"""Contrastive learning with k positives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Auxiliary, Meta, Moment, Outputs, Tune, hookimpl
from ltbench_plugins.auxiliaries._contrast import (
    Contrastive,
    draw_seed,
    log_shares,
    mean_of_positives,
    random_positives,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ltbench.stages import State


class Kcl(Contrastive, frozen=True):
    """Supervised contrastive term with the same number of positives for every image, so that no class has more pull.

    As `supcon`, but P(i) has the other views of the image itself and `k` random views of other images of its class, fewer
    if there are not so many in the batch. With a `k` as large as the batch it is `supcon`. The authors contrast with a
    queue of a slow network; here, as in later comparisons on CIFAR, with the batch.

    Source: Kang et al., Exploring Balanced Feature Spaces for Representation Learning, ICLR 2021, the
    k-positive contrastive loss.
    """

    name = "kcl"

    temperature: Annotated[float, Meta(gt=0, description="divides the similarities"), Tune(0.03, 0.3, log=True)] = 0.07
    k: Annotated[
        int, Meta(ge=1, description="positives of each view besides the other views of the same image"), Tune(2, 10)
    ] = 6

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return the seed of the draws."""
        return {"seed": draw_seed(generator)}

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: of SimCLR; labels: int64 [B]; counts: int64 [C]."""
        pairs = self.pairs(views, labels)
        drawn = random_positives(pairs.positives & ~pairs.siblings, self.k, views[0].state["seed"], moment)
        return -mean_of_positives(log_shares(pairs.similarities, pairs.others), drawn | pairs.siblings)


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Kcl]
