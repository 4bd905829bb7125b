"""The learning curve of a training: one entry for each epoch of its feed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_NAMES = ("epoch", "loss", "lr", "accuracy")


class Curve:
    """Mean loss and accuracy on the training batches, and the learning rate, epoch by epoch.

    The sums of the running epoch stay on the device, so that adding to them waits for nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self._entries: dict[str, list[float]] = {name: [] for name in _NAMES}
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._seen = 0
        self._epoch = self._lr = 0.0

    def add(self, loss: Tensor, hits: Tensor, images: int, *, epoch: float, lr: float) -> None:
        """Count a batch.

        loss: float [], the mean over the batch; hits: float [], images that it has right; epoch: epochs that the
        training has behind it with this batch; lr: the learning rate of its step.
        """
        self._sums += torch.stack((loss.detach().double() * images, hits.double()))
        self._seen += images
        self._epoch, self._lr = epoch, lr

    @property
    def finite(self) -> bool:
        """Whether every loss of the running entry was finite; waits for the device."""
        return math.isfinite(float(self._sums[0]))

    def close(self) -> None:
        """End the running entry, where it has a batch."""
        self._entries = self.entries()
        self._sums.zero_()
        self._seen = 0

    def entries(self) -> dict[str, list[float]]:
        """Return the curve so far, the running entry included: lists of one length by name, for records."""
        if not self._seen:
            return self._entries
        loss, hits = (self._sums / self._seen).tolist()
        running = (round(self._epoch, 6), loss, self._lr, hits)
        return {name: [*self._entries[name], value] for name, value in zip(_NAMES, running, strict=True)}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as plain JSON values."""
        return {
            "entries": self._entries,
            "sums": self._sums.tolist(),
            "seen": self._seen,
            "epoch": self._epoch,
            "lr": self._lr,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._entries = state["entries"]
        self._sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self._seen, self._epoch, self._lr = state["seen"], state["epoch"], state["lr"]
