"""The second stream of images, for a mix or branches that ask for one.

Its epochs are independent of those of the first stream: when one has no more images, the next is drawn, also in the
middle of a batch. Order, pool and augmentation have random streams of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from ltbench.engine.epoch_order import EpochOrder
from ltbench.stages import Moment


class PartnerStream:
    """The indices of a second sampler, in batches of any size."""

    def __init__(self) -> None:
        self.order: EpochOrder | None = None
        """The order in use."""
        self._epoch = torch.empty(0, dtype=torch.int64)
        self._position = 0

    def use(self, order: EpochOrder | None) -> None:
        """Draw from this order from now on. An unchanged order continues its epoch."""
        if order is not self.order:
            self.order, self._epoch, self._position = order, self._epoch[:0], 0

    def next(self, size: int, moment: Moment, stream: Generator, device: torch.device) -> Tensor:
        """Return the next indices, int64 [size], on the device, where those of an epoch are kept."""
        assert self.order is not None, "use has to come before next"
        parts: list[Tensor] = []
        while size:
            if self._position == len(self._epoch):
                self._epoch, self._position = self.order.draw_epoch(stream, moment), 0
            self._epoch = self._epoch.to(device)  # those of a restored state come from a file
            part = self._epoch[self._position : self._position + size]
            self._position += len(part)
            size -= len(part)
            parts.append(part)
        return torch.cat(parts)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs; empty without a second stream."""
        if self.order is None:
            return {}
        return {"epoch": self._epoch, "position": torch.tensor(self._position)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that was taken with the order now in use."""
        if state:
            self._epoch, self._position = state["epoch"], int(state["position"])
