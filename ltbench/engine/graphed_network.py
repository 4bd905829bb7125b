"""Forward and backward pass of a network as CUDA graphs: a GPU runs all their kernels at one command.

A small network has hundreds of kernels that take less time than Python needs to start them. A graph is for inputs of one shape, so
other batches, such as the last one of an epoch, pass through the network as it is. What follows the network (loss, optimiser) is no
part of the graph, so every technique can be combined with it. Passes in a graph are the same kernels in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ltbench.engine.determinism import random_state, set_random_state

Capture = Callable[[nn.Module, tuple[Tensor, ...]], Callable[[Tensor], Tensor]]
_log = logging.getLogger(__name__)


class GraphedNetwork:
    """A network that is called like it. Weights may change between calls, but neither their number nor what learns of them."""

    def __init__(
        self,
        network: nn.Module,
        precision: Callable[[], AbstractContextManager[object]],
        capture: Capture | None = None,
    ) -> None:
        """precision: of the passes; capture: in place of torch's function that makes the graphs."""
        self._network, self._precision = network, precision
        self._capture: Any = capture or torch.cuda.make_graphed_callables
        self._shape: torch.Size | None = None
        self._graph: Callable[[Tensor], Tensor] | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits of images; those of the first batch decide for which shape there are graphs."""
        if self._shape is None:
            self._shape = images.shape
            self._graph = self._captured(images)
        if self._graph is None or images.shape != self._shape:
            logits: Tensor = self._network(images)
            return logits
        return self._graph(images)

    @property
    def is_captured(self) -> bool:
        """Whether batches of the first one's shape are passes of a graph."""
        return self._graph is not None

    def _captured(self, images: Tensor) -> Callable[[Tensor], Tensor] | None:
        """Return the graphs; None if the network cannot be captured, as one that reads numbers from the GPU."""
        # The passes before the capture change batch statistics and draw, and must leave nothing of it.
        buffers = [buffer.clone() for buffer in self._network.buffers()]
        random = random_state(images.device)
        try:
            with self._precision():
                # A module of its own: torch replaces the forward pass of what it is given.
                graph: Callable[[Tensor], Tensor] = self._capture(_Whole(self._network), (torch.zeros_like(images),))
                return graph
        except (RuntimeError, AssertionError, TypeError) as error:
            _log.info("no CUDA graphs for this network: %s", error)
            return None
        finally:
            for buffer, value in zip(self._network.buffers(), buffers, strict=True):
                buffer.copy_(value)
            set_random_state(random, images.device)


class _Whole(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training  # torch looks at it; a new module is in training mode

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits
