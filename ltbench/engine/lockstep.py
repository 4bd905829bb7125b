"""Trainings that walk in step within one process, each with a state of torch's generator of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ltbench.engine.determinism import random_state, set_random_state
from ltbench.engine.output_checks import naming_techniques
from ltbench.engine.training import Training


class Lockstep:
    """Trainings by the key of their fit. One that fails ends, and the others go on."""

    def __init__(self, trainings: Mapping[str, Training], random: Mapping[str, Tensor], device: torch.device) -> None:
        self.walking = dict(trainings)
        """The trainings that are neither done nor failed."""
        self.failed: dict[str, Exception] = {}
        self._walks = {key: training.walk() for key, training in trainings.items()}
        self.random = dict(random)
        """The state of the generator of each training, at the end for those that are done."""
        self._device = device

    def advance(self) -> bool:
        """Let each training do its next part, in turn; return whether one has done any."""
        for key in list(self._walks):
            self.take_turn(key)
            try:
                with naming_techniques():
                    done = next(self._walks[key], "done") is not None
            except Exception as error:  # noqa: BLE001 - a technique may raise anything
                self.failed[key] = error
                done = True
            self.random[key] = random_state(self._device)
            if done:
                del self._walks[key], self.walking[key]
        return bool(self._walks)

    def take_turn(self, key: str) -> None:
        """Set the generator to the state of a training, which is part of what it stores."""
        set_random_state(self.random[key], self._device)


@contextmanager
def in_step(
    trainings: Mapping[str, Training], random: Mapping[str, Tensor], device: torch.device
) -> Iterator[Lockstep]:
    """Let trainings walk in step in the block. random: the state of the generator with which each begins."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield Lockstep(trainings, random, device)
