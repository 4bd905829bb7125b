"""A network whose last blocks and classifier exist several times, behind a common trunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ltbench.engine.modules import input_of


class BranchedNetwork(nn.Module):
    """A trunk and E branches, made of E networks of one model.

    The trunk is the first blocks of the first network. Each branch is the rest of a network: its last blocks and all that
    follows, up to the classifier.
    """

    def __init__(self, networks: Sequence[nn.Module], shared: int, merge: Callable[[Tensor], Tensor]) -> None:
        """networks: with `blocks()` and `forward_head()`; shared: number of blocks of the trunk; merge: of the branches."""
        super().__init__()
        self.trunk = nn.ModuleList(_blocks(networks[0])[:shared])
        self.branches = nn.ModuleList([_Branch(network, shared) for network in networks])
        self._merge = merge

    def forward(self, images: Tensor) -> Tensor:
        """Return merged logits, float [B, C]."""
        return self._merge(self.run(images)[0])

    def run(self, images: Tensor, second: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits [E, B, C] and features [E, B, D] of the branches.

        second: images of the second half of the branches, float [B, channels, size, size]; by default the same.
        """
        maps = images if second is None else torch.cat([images, second])
        for block in self.trunk:
            maps = block(maps)
        halves = [maps] if second is None else [maps[: len(images)], maps[len(images) :]]
        first = (len(self.branches) + 1) // 2
        results = [branch(halves[0] if number < first else halves[-1]) for number, branch in enumerate(self.branches)]
        logits, features = zip(*results, strict=True)
        return torch.stack(logits), torch.stack(features)

    def merge(self, logits: Tensor) -> Tensor:
        """Return merged logits, float [B, C], from those of the branches, float [E, B, C]."""
        return self._merge(logits)

    def blocks(self) -> list[nn.Module]:
        """Return the blocks of the trunk."""
        return list(self.trunk)

    def get_classifier(self) -> nn.ModuleList:
        """Return the classifiers of the branches."""
        return nn.ModuleList([branch.classifier for branch in cast("list[_Branch]", list(self.branches))])


class _Branch(nn.Module):
    """The part of a network after its first blocks."""

    def __init__(self, network: nn.Module, shared: int) -> None:
        super().__init__()
        blocks = _blocks(network)
        dropped = {id(module) for block in blocks[:shared] for module in block.modules()}
        kept = {id(module) for block in blocks[shared:] for module in block.modules()}
        dropped -= kept
        # Not inside a dropped module: it may be in use as a part of the trunk.
        for parent in [module for module in network.modules() if id(module) not in dropped]:
            for name, child in list(parent.named_children()):
                if id(child) in dropped:
                    setattr(parent, name, nn.Identity())
        self.network = network
        self._tail = blocks[shared:]  # a list: these modules are already registered in `network`

    @property
    def classifier(self) -> nn.Module:
        return cast("nn.Module", cast("Any", self.network).get_classifier())

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, C] and features [B, D]."""
        for block in self._tail:
            maps = block(maps)
        with input_of(self.classifier) as taken:
            logits: Tensor = cast("Any", self.network).forward_head(maps)
        return logits, taken[0]


def _blocks(network: nn.Module) -> list[nn.Module]:
    blocks: list[nn.Module] = list(cast("Any", network).blocks())
    return blocks
