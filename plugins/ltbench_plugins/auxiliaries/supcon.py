"""Supervised contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltbench import Auxiliary, Moment, Outputs, hookimpl
from ltbench_plugins.auxiliaries._contrast import Contrastive, log_shares, mean_of_positives

if TYPE_CHECKING:
    from torch import Tensor


class Supcon(Contrastive, frozen=True):
    """Supervised contrastive term: pulls together what is of one class, and pushes the rest of the batch away.

        term = mean_i mean_{p in P(i)} -log( exp(z_i z_p / t) / sum_{a != i} exp(z_i z_a / t) )

    z: projected features of norm 1; i: a view of an image; P(i): all other views of images of its class. The sum over the
    positives is outside the logarithm. Views without a positive, which only occur with `one_view`, are left out. The authors
    train on the term alone and fit a classifier afterwards; here both are trained together.

    Source: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, equation 2.
    """

    name = "supcon"

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: of SimCLR; labels: int64 [B]; counts: int64 [C]."""
        pairs = self.pairs(views, labels)
        return -mean_of_positives(log_shares(pairs.similarities, pairs.others), pairs.positives)


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Supcon]
