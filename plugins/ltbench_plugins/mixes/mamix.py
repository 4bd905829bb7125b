"""Margin-aware mixup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Tune, hookimpl
from ltbench_plugins.mixes._blend import Blend

if TYPE_CHECKING:
    from torch import Tensor


class Mamix(Blend, frozen=True):
    """Mixup that weighs labels by margins, which are larger for rare classes.

    Images are blended with a share lam as by `mixup`. The margin of class c is `n_c ** -omega`, as in LDAM. The labels
    of classes i and j have equal weights where `lam = b = m_j / (m_i + m_j)` and m are the margins, instead of at 1/2,
    and the weight of label i is linear on both sides:

        lam / (2 b)                        for lam <= b
        1 - (1 - lam) / (2 (1 - b))        for lam >= b

    So a blend of a frequent and a rare class leans to the rare one. With omega = 0 it is `mixup[alpha=1]`. The authors'
    code draws one lam for a batch (`per_batch`).

    Source: Cheng, Mai and Lin, From SMOTE to Mixup for Deep Imbalanced Classification, TAAI 2023, section 4
    (margin-aware Mixup), with omega = 1/4 and alpha = 1 as in its code, imbalanced-DL.
    """

    name = "mamix"

    omega: Annotated[
        float, Meta(ge=0, description="power of the class count in the margin; 0: mixup"), Tune(0.1, 0.5)
    ] = 0.25

    def label_shares(self, lam: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Return the weight of the label of each image, float [B]."""
        # m_j / (m_i + m_j), as a sigmoid of the difference of the logarithms.
        boundary = (self.omega * (own.log() - other.log())).sigmoid()
        # Inside (0, 1), so that a share of 0 or 1 stays what it is.
        boundary = boundary.clamp(1e-30, 1 - 6e-8)
        return (lam / (2 * boundary)).where(lam <= boundary, 1 - (1 - lam) / (2 * (1 - boundary)))


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Mamix]
