"""Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from ltbench import Meta, Observer, ObserverOffer, hookimpl
from ltbench.observer import CellRecorded, RunBegun
from ltbench_plugins.observers._cells import curve, numbers, parameters, title


class WeightsAndBiases(ObserverOffer, frozen=True):
    """Log each cell as a run of Weights & Biases, in a group for the run; offline by default, to be sent by `wandb sync`."""

    name = "wandb"
    requires: ClassVar[Mapping[str, str]] = {"wandb": "pip install 'ltbench[wandb]'"}
    project: Annotated[str, Meta(pattern=r"^[^/\\#?%:]*\Z", description="project; that of the suite if empty")] = ""
    folder: Annotated[str, Meta(description="below which offline runs are written")] = "."
    mode: Annotated[Literal["offline", "online"], Meta(description="whether runs are kept in the folder or sent")] = (
        "offline"
    )

    def make(self) -> Observer:
        return _Runs(self.project, Path(self.folder).expanduser(), self.mode)


class _Runs(Observer):
    def __init__(self, project: str, folder: Path, mode: Literal["offline", "online"]) -> None:
        self._project, self._folder, self._mode, self._group = project, folder, mode, ""

    def run_begun(self, event: RunBegun) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # The library would write to the folder for temporary files instead.
        if not os.access(self._folder, os.R_OK | os.W_OK):
            raise PermissionError(f"the folder {self._folder} cannot be written")
        self._project, self._group = self._project or event.suite, event.run

    def cell_recorded(self, event: CellRecorded) -> None:
        import wandb

        run = wandb.init(
            project=self._project, group=self._group, name=title(event)[:128], config=parameters(event), mode=self._mode,
            dir=self._folder, reinit="create_new", settings=wandb.Settings(silent=True),
        )  # fmt: skip
        for number, values in curve(event):
            run.log(values, step=number)
        for name, value in numbers(event).items():
            run.summary[name] = value
        run.finish()


@hookimpl
def ltbench_observers() -> list[type[ObserverOffer]]:
    return [WeightsAndBiases]
