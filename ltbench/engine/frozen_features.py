"""Features of a frozen backbone, computed once for all training images of a fit.

If a segment trains only the classifier and images are not augmented, the classifier gets the same features in every
epoch. Computing them once makes a step as cheap as one of a linear model. The features of a backbone that no fit trains
are those of `ltbench.engine.features`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ltbench.engine.batches import Feed

Precision = Callable[[], AbstractContextManager[object]]
"""Returns the context of a forward pass."""
_MAX_TABLE_BYTES = 4 << 30
"""Maximum size of the feature table. It must not depend on free memory, because using a table changes the last bits."""


def features_of(network: nn.Module, feed: Feed, precision: Precision) -> Tensor | None:
    """Return the inputs of a frozen network's classifier for all images, float [count, D].

    feed: of the training. Returns None if features cannot replace the images: the network does more after the classifier, the classifier does not take one row per image, the backbone is
    random, or the table is too large.
    """
    head: nn.Module = network.get_classifier()  # type: ignore[operator]
    inputs: list[tuple[Any, ...]] = []
    count = feed.image_count
    was_training = head.training
    handle = head.register_forward_pre_hook(lambda _module, args: inputs.append(args))
    table: Tensor | None = None
    done = 0
    head.eval()  # dropout of the classifier itself is no reason to refuse: it acts on the features in each step
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), precision():
            for batch in feed.unaugmented_images():
                inputs.clear()
                logits = network(batch)
                rows = _input_rows(inputs, len(batch))
                if rows is None:
                    return None
                if table is None:
                    if not _reproduces_logits(network, head, batch, rows, logits):
                        return None
                    if count * rows.shape[1] * rows.element_size() > _MAX_TABLE_BYTES:
                        return None
                    table = rows.new_empty(count, rows.shape[1])
                table[done : done + len(rows)] = rows
                done += len(rows)
    finally:
        handle.remove()
        head.train(was_training)
    return table


def _input_rows(inputs: list[tuple[Any, ...]], count: int) -> Tensor | None:
    """Return the classifier's input if it was called once, with one row per image."""
    if len(inputs) != 1 or len(inputs[0]) != 1 or not isinstance(inputs[0][0], Tensor):
        return None
    rows = inputs[0][0]
    return rows if rows.dim() == 2 and len(rows) == count and rows.is_floating_point() else None


def _reproduces_logits(network: nn.Module, head: nn.Module, batch: Tensor, rows: Tensor, logits: Tensor) -> bool:
    """Whether the classifier turns these rows into the network's logits, and a second pass gives the same logits."""
    return torch.equal(head(rows), logits) and torch.equal(network(batch), logits)
