"""A frozen backbone that looks at each training image once.

Where a segment trains the classifier alone and nothing random acts on the images, the classifier is given the same
rows in every epoch. They are made once, and the steps of the segment are those of a linear model.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

_MOST_BYTES = 4 << 30
"""Larger tables of features are not made; a fixed limit, because the last bits of a result depend on it."""


class Precision(Protocol):
    """The context of a forward pass."""

    def __call__(self) -> AbstractContextManager[object]: ...


def features_of(network: nn.Module, images: Iterable[Tensor], count: int, precision: Precision) -> Tensor | None:
    """Return what the classifier of a frozen network is given for each image, float [count, D].

    images: all of them, in batches, as the network takes them. None where this cannot stand for the network: where
    the classifier is not what it ends with, does not take one row for each image, or the backbone is random.
    """
    head: nn.Module = network.get_classifier()  # type: ignore[operator]
    given: list[tuple[Any, ...]] = []
    was_training = head.training
    handle = head.register_forward_pre_hook(lambda _module, args: given.append(args))
    table: Tensor | None = None
    done = 0
    head.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), precision():
            for batch in images:
                given.clear()
                logits = network(batch)
                rows = _rows(given, len(batch))
                if rows is None:
                    return None
                if table is None:
                    if not _stands(network, head, batch, rows, logits):
                        return None
                    if count * rows.shape[1] * rows.element_size() > _MOST_BYTES:
                        return None
                    table = rows.new_empty(count, rows.shape[1])
                table[done : done + len(rows)] = rows
                done += len(rows)
    finally:
        handle.remove()
        head.train(was_training)
    return table


def _rows(given: list[tuple[Any, ...]], count: int) -> Tensor | None:
    """Return what the classifier was given, where that was one row for each image, once."""
    if len(given) != 1 or len(given[0]) != 1 or not isinstance(given[0][0], Tensor):
        return None
    rows = given[0][0]
    return rows if rows.dim() == 2 and len(rows) == count and rows.is_floating_point() else None


def _stands(network: nn.Module, head: nn.Module, batch: Tensor, rows: Tensor, logits: Tensor) -> bool:
    """Whether the classifier makes the network's logits of these rows, and the network the same ones again."""
    return torch.equal(head(rows), logits) and torch.equal(network(batch), logits)
