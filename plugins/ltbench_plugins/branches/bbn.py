"""Bilateral-branch network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

from ltbench import Branches, Meta, NotTuned, hookimpl
from ltbench_plugins._notes import WITH_A_REVERSED_STREAM

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment

T = TypeVar("T")
_ONE_LOSS = "bbn has one loss, that of the merged logits of its two branches"


class Bbn(Branches, frozen=True):
    """Two branches, for the images of the sampler and for a reversed stream, with a shifting share.

    Of the logits z_c of the first branch, for an image of label y_c, and z_r of the second, for one of label y_r:

        z = factor (alpha z_c + (1 - alpha) z_r)
        loss = alpha l(z, y_c) + (1 - alpha) l(z, y_r)        alpha = 1 - (t / T) ** 2

    with t the epochs that have ended, of T. So training moves from the long tail to the reversed stream. Any loss l can
    be used; the authors use cross entropy. At test time alpha is 1/2. The authors' code doubles the logits (factor = 2),
    and copies the last residual block; here each branch has the last block that the network names, a stage of a residual
    network for small images. Each classifier has a bias, where the authors' have a common one.

    Source: Zhou et al., BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition, CVPR
    2020, section 4 (cumulative learning).
    """

    name = "bbn"
    stream = "reverse"
    joint = True
    doubtful = WITH_A_REVERSED_STREAM
    conflicts: ClassVar = {
        "mix": "the two labels of an image of bbn are those of its two streams",
        "auxiliary": "an auxiliary sees one image and one label, and the branches of bbn have two of each",
        **dict.fromkeys(("ride_loss", "sade_loss", "balpoe_loss", "ncl_loss"), _ONE_LOSS),
        **dict.fromkeys(("influence_balanced", "dot_regression"), f"{_ONE_LOSS}, which have no common features"),
    }

    factor: Annotated[
        float,
        Meta(gt=0, description="factor of the merged logits; 2 in the authors' code"),
        NotTuned("belongs to the form of the authors' code"),
    ] = 1.0

    def number(self) -> int:
        return 2

    def shared(self, blocks: int) -> int:
        return max(blocks - 1, 0)

    def share(self, moment: Moment) -> float:
        """Return alpha. It changes once an epoch."""
        return max(1 - (moment.epoch / moment.epochs) ** 2, 0.0)

    def merge(self, logits: T) -> T:
        return self.factor * logits.mean(0)  # type: ignore[attr-defined,no-any-return]

    def merge_at(self, logits: Tensor, moment: Moment) -> Tensor:
        alpha = self.share(moment)
        return self.factor * (alpha * logits[0] + (1 - alpha) * logits[1])


@hookimpl
def ltbench_branches() -> list[type[Branches]]:
    return [Bbn]
