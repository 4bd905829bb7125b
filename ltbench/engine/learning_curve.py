"""The learning curve of a training: one entry per epoch of its feed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_NAMES = ("epoch", "loss", "lr", "accuracy")


class Curve:
    """Mean loss and accuracy on the training batches, and the learning rate, epoch by epoch.

    The sums of the running epoch stay on the device, so that adding a batch does not wait for the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._entries: dict[str, list[float]] = {name: [] for name in _NAMES}
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._images = 0
        self._epoch = self._lr = 0.0

    def add_batch(self, loss: Tensor, correct: Tensor, images: int, *, epoch: float, lr: float) -> None:
        """Add a batch to the running epoch.

        loss: float [], mean over the batch; correct: float [], correctly classified images; epoch: epochs done with
        this batch; lr: the learning rate of its step.
        """
        # In double precision: an epoch adds thousands of batches.
        self._sums += torch.stack((loss.detach().double() * images, correct.double()))
        self._images += images
        self._epoch, self._lr = epoch, lr

    @property
    def finite(self) -> bool:
        """Whether every loss of the running epoch was finite; waits for the device."""
        return math.isfinite(float(self._sums[0]))

    def close_epoch(self) -> None:
        """Complete the entry of the running epoch, if it has a batch."""
        self._entries = self.entries()
        self._sums.zero_()
        self._images = 0

    def entries(self) -> dict[str, list[float]]:
        """Return the curve so far, including the running epoch: lists of equal length by name, for records."""
        if not self._images:
            return self._entries
        loss, accuracy = (self._sums / self._images).tolist()
        running = (round(self._epoch, 6), loss, self._lr, accuracy)
        return {name: [*self._entries[name], value] for name, value in zip(_NAMES, running, strict=True)}

    def closed(self) -> dict[str, list[float]]:
        """Return the entries of complete epochs, which waits for no device."""
        return self._entries

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as plain JSON values."""
        return {
            "entries": self._entries,
            "sums": self._sums.tolist(),
            "seen": self._images,
            "epoch": self._epoch,
            "lr": self._lr,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self._entries = state["entries"]
        self._sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self._images, self._epoch, self._lr = state["seen"], state["epoch"], state["lr"]
