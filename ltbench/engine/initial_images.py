"""Training images for initial weights that depend on them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from ltbench.engine.batches import Feed

_BATCH = 256
"""Images in a batch, of up to 64 x 64 pixels; or rows of features."""
_PIXELS = _BATCH * 64**2
"""Pixels in a batch of larger images: a model may compute several numbers of each, such as patches in double precision."""


class InitialImages:
    """All training images of a feed with their labels, in batches, in a random order that stays the same.

    The stored order is by class, so that the first images alone would not represent the training subset.
    """

    def __init__(self, feed: Feed, stream: Generator) -> None:
        self._feed = feed
        self._order = torch.randperm(feed.image_count, generator=stream).to(feed.labels.device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images float [B, channels, size, size], normalised and not augmented, or features; and labels int64 [B]."""
        at_once = max(1, min(_BATCH, _PIXELS // self._feed.size**2))
        for indices in torch.split(self._order, at_once):
            yield self._feed.unaugmented(indices), self._feed.labels[indices]
