"""MLflow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ltbench import Meta, Observer, ObserverOffer, hookimpl
from ltbench.observer import CellRecorded, RunBegun
from ltbench_plugins.observers._cells import curve, numbers, parameters, title

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LONGEST = 500
"""Characters of a parameter that every store of MLflow takes."""


class MLflow(ObserverOffer, frozen=True):
    """Log each cell as a run of MLflow, in an experiment named for the suite: parameters, metrics, learning curve."""

    name = "mlflow"
    requires: ClassVar[Mapping[str, str]] = {"mlflow": "pip install 'ltbench[mlflow]'"}
    uri: Annotated[str, Meta(description="tracking server, database or folder; a folder needs no server")] = "mlruns"

    def make(self) -> Observer:
        return _Runs(self.uri)


class _Runs(Observer):
    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._run = ""

    def run_begun(self, event: RunBegun) -> None:
        # It concerns this process, which is the observers' own. Nothing is sent about how a library is used.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        from mlflow import MlflowClient

        uri = self._uri
        if "://" not in uri:
            uri = Path(uri).expanduser().resolve().as_uri()
        if uri.startswith("file:"):
            # MLflow 3 asks for this before it writes to a folder.
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        self._client: MlflowClient = MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(event.suite)
        self._experiment = self._client.create_experiment(event.suite) if known is None else known.experiment_id
        self._run = event.run

    def cell_recorded(self, event: CellRecorded) -> None:
        tags: dict[str, Any] = {"ltbench.run": self._run, "ltbench.cell": event.record["id"]}
        run = self._client.create_run(self._experiment, run_name=title(event), tags=tags).info.run_id
        for name, value in parameters(event).items():
            self._client.log_param(run, _allowed(name), str(value)[:_LONGEST])
        for number, values in curve(event):
            for name, value in values.items():
                self._client.log_metric(run, _allowed(name), value, step=number)
        for name, value in numbers(event).items():
            self._client.log_metric(run, _allowed(name), value)
        self._client.set_terminated(run)


def _allowed(name: str) -> str:
    """Return a name with the characters that MLflow allows; metrics of plugins may have others, such as `top-5 (%)`."""
    return re.sub(r"[^\w\-. /]", "_", name)


@hookimpl
def ltbench_observers() -> list[type[ObserverOffer]]:
    return [MLflow]
