"""Remix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Tune, hookimpl
from ltbench_plugins.mixes._blend import Blend

if TYPE_CHECKING:
    from torch import Tensor


class Remix(Blend, frozen=True):
    """Mixup that drops the label of a much more frequent class with a small share.

    Images are blended with a share lam as by `mixup`. For classes i and j of an image and its partner, with n_i and n_j
    training images, the weight of label i is

        0    if n_i / n_j >= kappa   and  lam < tau
        1    if n_i / n_j <= 1/kappa and  1 - lam < tau
        lam  otherwise

    With tau = 0 it is `mixup[alpha=1]`. `per_batch` draws one lam for a batch, as public code does.

    Source: Chou et al., Remix: Rebalanced Mixup, ECCV 2020 workshops, section 3 (the definition of lambda_y), with
    its kappa and tau.
    """

    name = "remix"

    kappa: Annotated[
        float,
        Meta(ge=1, description="ratio of class counts from which only the rare label counts"),
        Tune(1.5, 6.0, log=True),
    ] = 3.0
    tau: Annotated[
        float,
        Meta(ge=0, le=1, description="share of the frequent class below which only the rare label counts; 0: mixup"),
        Tune(0.25, 0.75),
    ] = 0.5

    def without_effect(self) -> tuple[str, ...]:
        return () if self.tau else ("kappa",)

    def label_shares(self, lam: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Return the weight of the label of each image, float [B]."""
        to_other = (own >= self.kappa * other) & (lam < self.tau)
        to_own = (other >= self.kappa * own) & (1 - lam < self.tau)
        return lam.masked_fill(to_other, 0).masked_fill(to_own, 1)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Remix]
