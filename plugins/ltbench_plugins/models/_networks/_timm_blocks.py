"""Networks of timm with `blocks()`, for the families whose stages are applied one after the other."""

from __future__ import annotations

from functools import cache
from types import new_class
from typing import Any, cast

from torch import Tensor, nn

_HEAD = frozenset({"global_pool", "head"})
"""Where the layers of the head begin."""


def with_blocks(network: nn.Module) -> nn.Module:
    """Give a network of timm the method `blocks`, in place, and return it; parameters keep their names."""
    kind: Any = type(network)
    network.__class__ = _with_blocks(kind)
    return network


@cache
def _with_blocks(kind: Any) -> type[nn.Module]:
    def blocks(self: nn.Module, maps: Tensor | None = None) -> list[nn.Module] | Tensor:
        # In some of timm's networks, `self.blocks` are the stages, which their forward pass calls with maps.
        return _blocks(self) if maps is None else cast("Tensor", self._modules["blocks"](maps))  # type: ignore[misc]

    made: type[nn.Module] = new_class(kind.__name__, (kind,), exec_body=lambda space: space.update(blocks=blocks))
    return made


def _blocks(network: nn.Module) -> list[nn.Module]:
    """Return the stem, and the stages; what follows the stages belongs to the last."""
    stem: list[nn.Module] = []
    stages: list[nn.Module] = []
    after: list[nn.Module] = []
    for name, module in network.named_children():
        if name in _HEAD:
            break
        if name in {"blocks", "stages"}:
            stages += module.children()
        elif name.startswith("layer"):
            stages.append(module)
        else:
            (after if stages else stem).append(module)
    return [nn.Sequential(*stem), *stages[:-1], nn.Sequential(stages[-1], *after)]
