"""Writes the accuracy of each cell to a text file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Observer, ObserverOffer, hookimpl

if TYPE_CHECKING:
    from ltbench.observer import CellRecorded, EpochEnded

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyObserver(ObserverOffer, frozen=True):
    """Append a line for each epoch and each cell to a text file.

    Source: FILL IN (the tool that shows them).
    """

    name = "my_observer"

    file: Annotated[str, Meta(description="the file")] = "cells.txt"

    def make(self) -> Observer:
        """Return what gets the events, in a process of its own."""
        return Lines(Path(self.file))


class Lines(Observer):
    """Overrides the events that it is interested in; see `ltbench.Observer` for the others."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, line: str) -> None:
        """Append a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def epoch_ended(self, event: EpochEnded) -> None:
        """Note a point of the learning curve of a training, while it runs."""
        self.write(f"{event.about}, epoch {event.number}: loss {event.values['loss']:.3f}")

    def cell_recorded(self, event: CellRecorded) -> None:
        """Note the numbers of a cell."""
        self.write(f"{event.label}: {event.record['metrics']['top1']:.3f}")


@hookimpl
def ltbench_observers() -> list[type[ObserverOffer]]:
    return [MyObserver]
