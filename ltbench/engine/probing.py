"""How a technique probes the network at the end of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

import torch
from torch import Generator, Tensor, nn

from ltbench.engine.batches import Feed
from ltbench.engine.modules import evaluating
from ltbench.stages import Adaptive, Moment

if TYPE_CHECKING:
    from ltbench.stages import State


def probed(
    technique: Adaptive,
    network: nn.Module,
    feed: Feed,
    precision: Callable[[], AbstractContextManager[object]],
    state: State,
    following: Moment,
    stream: Generator,
) -> object:
    """Return what `Adaptive.probe` returns, with the network in evaluation mode.

    state: what the technique remembers; following: the moment of the next step; stream: for its draws.
    """

    def predict(images: Tensor) -> Tensor:
        """Return the logits float [B, C] of images in [0, 1], or of features."""
        with precision():
            logits: Tensor = network(feed.normalised(images))
        return logits.float()

    with evaluating(network), torch.no_grad():
        # Of stored images, an index reads some, as of a tensor.
        return technique.probe(predict, cast("Tensor", feed.images), feed.labels, state, following, stream)
