"""Access to the modules of a network: replace one, or read what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


def replace_module(network: nn.Module, old: nn.Module, new: nn.Module) -> bool:
    """Replace a module wherever it is in a network; return whether it was there."""
    places = [(parent, name) for parent in network.modules() for name, child in parent.named_children() if child is old]
    for parent, name in places:
        setattr(parent, name, new)
    return bool(places)


@contextmanager
def input_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the first argument of each call of a module in the block."""
    taken: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _module, given: taken.append(given[0]))
    try:
        yield taken
    finally:
        handle.remove()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode in the block; afterwards, each module is in its own mode again."""
    was_training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in was_training.items():
            module.training = training
