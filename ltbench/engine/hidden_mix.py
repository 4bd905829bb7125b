"""A mix inside the network: of the images, or of the output of a block but the last.

Each step draws the block and a seed of the blend from the stream `mix`, or on a GPU from one for choices. So every pass of a step blends in the same way,
and the stream advances equally whatever the mix draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor, nn

from ltbench.engine.branched_network import BranchedNetwork
from ltbench.errors import JobFailed
from ltbench.stages import Mix, Mixed, Model, Told

T = TypeVar("T")

Places = Sequence[nn.Module | None]
"""Where a hidden mix may blend: at the images (None), or at the output of one of these modules."""


def places(mix: Mix | None, model: Model, network: nn.Module) -> Places:
    """Return where a mix may blend; nowhere in the network (empty) unless it is hidden.

    Raises `JobFailed` if the network has no `blocks()`, or the mix asks for a second stream.
    """
    if mix is None or mix.where == "input":
        return ()
    if mix.partner:
        raise JobFailed(f"mix '{mix.label}' is hidden and has a partner stream, whose images have no block output")
    if not model.has_blocks:
        raise JobFailed(
            f"mix '{mix.label}' blends the outputs of blocks, and model '{model.label}' has no `blocks()`",
            where=type(model).__module__,
        )
    blocks: Sequence[nn.Module] = network.blocks()  # type: ignore[operator]
    # With branches, these are the blocks of the trunk, which others follow.
    return (None, *map(_last, blocks if isinstance(network, BranchedNetwork) else blocks[:-1]))


class HiddenMix:
    """A hidden mix of one step."""

    def __init__(self, mix: Mix, told: Told, choices: Places, stream: Generator) -> None:
        """stream: on the CPU."""
        self._mix, self._told = mix, told
        number, self._seed = torch.randint(1 << 62, (2,), generator=stream).tolist()
        self._place = choices[number % len(choices)]

    def run(self, forward: Callable[[Tensor], T], images: Tensor) -> tuple[T, Mixed]:
        """Return what `forward` makes of the images, blended on the way, and the blend with its labels and shares.

        images: those of the batch, and after them any number of others, which are not blended.
        """
        if self._place is None:
            mixed, blended = self._blend(images)
            return forward(blended.contiguous(memory_format=torch.channels_last)), mixed
        blends: list[Mixed] = []

        def hook(_module: nn.Module, _inputs: Any, maps: Tensor) -> Tensor:
            mixed, blended = self._blend(maps)
            blends.append(mixed)
            return blended

        handle = self._place.register_forward_hook(hook)
        try:
            result = forward(images)
        finally:
            handle.remove()
        if len(blends) != 1:
            raise JobFailed(
                f"a block of the network ran {len(blends)} times in a pass, so a mix cannot blend its output"
            )
        return result, blends[0]

    def _blend(self, maps: Tensor) -> tuple[Mixed, Tensor]:
        """Return the blend of the batch, and all maps with it."""
        size = len(self._told.labels)
        mixed = self._mix.blend(maps[:size], self._told, Generator(maps.device).manual_seed(self._seed))
        return mixed, mixed.images if len(maps) == size else torch.cat([mixed.images, maps[size:]])


def _last(block: nn.Module) -> nn.Module:
    """Return the module whose output is that of the block. A `Sequential` that only groups modules does not run."""
    while type(block) is nn.Sequential:
        block = block[-1]
    return block
