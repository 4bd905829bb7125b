"""TensorBoard."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from ltbench import Meta, Observer, ObserverOffer, hookimpl
from ltbench.observer import CellRecorded, EpochEnded, JobEnded, RunBegun
from ltbench_plugins.observers._cells import curve, numbers, title

if TYPE_CHECKING:
    from tensorboard.summary import Writer

_LONGEST = 240
"""Bytes of a name that file systems take, with some to spare."""


class TensorBoard(ObserverOffer, frozen=True):
    """Write metrics and learning curves of cells, and those of trainings while they run, as event files, which `tensorboard --logdir tensorboard` shows."""

    name = "tensorboard"
    requires: ClassVar[Mapping[str, str]] = {"tensorboard": "pip install 'ltbench[tensorboard]'"}
    folder: Annotated[str, Meta(description="where event files are written, a folder for each run and cell")] = (
        "tensorboard"
    )

    def make(self) -> Observer:
        return _EventFiles(Path(self.folder).expanduser())


class _EventFiles(Observer):
    def __init__(self, folder: Path) -> None:
        self._root = self._folder = folder
        self._trainings: dict[str, Writer] = {}

    def run_begun(self, event: RunBegun) -> None:
        self._folder = self._root / event.run

    def _writer(self, name: str) -> Writer:
        from tensorboard.summary import Writer

        return Writer(str(self._folder / folder_name(name)))

    def epoch_ended(self, event: EpochEnded) -> None:
        if event.key not in self._trainings:
            self._trainings[event.key] = self._writer(f"training {event.about} {event.key[:8]}")
        writer = self._trainings[event.key]
        for name, value in event.values.items():
            writer.add_scalar(f"train/{name}", value, event.number)
        writer.flush()

    def job_ended(self, event: JobEnded) -> None:
        if writer := self._trainings.pop(event.key, None):
            writer.close()

    def cell_recorded(self, event: CellRecorded) -> None:
        writer = self._writer(title(event))
        for number, values in curve(event):
            for name, value in values.items():
                writer.add_scalar(name.replace(".", "/", 1), value, number)
        for name, value in numbers(event).items():
            writer.add_scalar(name.replace(".", "/", 1) if "." in name else f"metrics/{name}", value, 0)
        writer.close()


def folder_name(name: str) -> str:
    """Return the name of the folder of a run, which TensorBoard shows; of a long one the beginning, the end and a digest."""
    name = re.sub(r"[/\\\x00-\x1f]+", "_", name)
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    begin, end = name.encode()[: _LONGEST - 90], name.encode()[-70:]
    return f"{begin.decode(errors='ignore')}... {digest} ...{end.decode(errors='ignore')}"


@hookimpl
def ltbench_observers() -> list[type[ObserverOffer]]:
    return [TensorBoard]
