"""Experts: several copies of the last blocks."""

from __future__ import annotations

from typing import Annotated

from ltbench import Branches, Meta, NotTuned, hookimpl


class Experts(Branches, frozen=True):
    """Copies of the last blocks and of the classifier, the experts, whose logits are averaged.

    All experts see the same images; the first blocks are common to all. Without a loss that tells the experts apart,
    they differ by their initial weights only. RIDE, SADE, BalPoE and NCL are losses and auxiliaries of experts.

    The last two blocks of a residual network for small images are its last two of three stages, as in RIDE; NCL shares
    nothing, which a number of blocks above that of the network gives. The authors of RIDE also make the copies narrower,
    so that three experts cost about as much as one network; here they have the width of the network.

    Source: Wang et al., Long-tailed Recognition by Routing Diverse Distribution-Aware Experts, ICLR 2021, section 3.1.
    """

    name = "experts"

    n: Annotated[int, Meta(ge=2, description="number of experts"), NotTuned("decides the cost")] = 3
    blocks: Annotated[
        int,
        Meta(ge=0, description="last blocks that each expert has of its own; 0: classifiers only"),
        NotTuned("decides the cost"),
    ] = 2

    def number(self) -> int:
        return self.n

    def shared(self, blocks: int) -> int:
        return max(blocks - self.blocks, 0)


@hookimpl
def ltbench_branches() -> list[type[Branches]]:
    return [Experts]
