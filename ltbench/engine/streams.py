"""The random streams of a training: a generator for each purpose, seeded by a hash of the training's seed and purpose.

Switching a technique on changes no draw of the others. A stream is made when it is first used, so a stream that a state
does not contain is one that has not been used: states from before a purpose existed stay valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from ltbench.core.spec import stream_seed

Stream = Callable[[str], Generator]
"""Purpose -> generator."""

_ON_CPU = frozenset({"order", "partner"})
"""Purposes of samplers, which run on the CPU; the others draw on the device."""
_CHOICES = " choices"
"""Ends the name of a stream of choices of the CPU, on a GPU."""


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> Generator:
    """Return the generator of one random stream of a training."""
    return Generator(device).manual_seed(stream_seed(seed, purpose))


class Streams:
    """The random streams of a training, by purpose."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self._made: dict[str, Generator] = {}

    def __call__(self, purpose: str) -> Generator:
        """Return the generator of a purpose."""
        if purpose not in self._made:
            on_cpu = purpose in _ON_CPU or purpose.endswith(_CHOICES)
            self._made[purpose] = generator(self._seed, purpose, "cpu" if on_cpu else self._device)
        return self._made[purpose]

    def choices(self, purpose: str) -> Generator:
        """Return a generator on the CPU, for numbers on which Python decides: to read one from a GPU would wait for it."""
        return self(purpose if self._device.type == "cpu" else purpose + _CHOICES)

    def state(self) -> dict[str, Tensor]:
        """Return the state of each stream that has been used."""
        return {purpose: stream.get_state() for purpose, stream in self._made.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state; streams that it does not contain start."""
        self._made.clear()
        for purpose, value in state.items():
            self(purpose).set_state(value)
