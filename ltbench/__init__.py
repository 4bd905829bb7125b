"""ltbench: a benchmark of techniques for long-tailed image classification, alone and in combination.

Plugin authors import from here: the base class of a stage, `Meta` for ranges of parameters, `hookimpl` for hooks.
`plan`, `run`, `search`, `recommend`, `verify`, `render`, `compare`, `load` and `techniques` are what the commands of the same names do (docs/python-api.md).
`load_model` loads a trained model that `ltbench export-model` has written; `long_tailed` returns the long-tailed subset of a data
set, for training code of one's own.
Attributes are imported on first access, so that `import ltbench` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ltbench.version import __version__ as __version__

_HOMES = {
    "Census": "ltbench.data_report",
    "Column": "ltbench.columns",
    "DataReport": "ltbench.data_report",
    "ExecutorOffer": "ltbench.executors.builtin",
    "Method": "ltbench.method",
    "NotTuned": "ltbench.tune",
    "Observer": "ltbench.observer",
    "ObserverOffer": "ltbench.observer",
    "SkippedFiles": "ltbench.data_report",
    "Tune": "ltbench.tune",
    "hookimpl": "ltbench.hookspecs",
    "load_model": "ltbench.trained_model.model",
    "compare": "ltbench.api.tables",
    "load": "ltbench.api.tables",
    "long_tailed": "ltbench.engine.long_tailed",
    "plan": "ltbench.api.plan",
    "recommend": "ltbench.api.recommend",
    "render": "ltbench.api.leaderboard",
    "run": "ltbench.api.run",
    "search": "ltbench.api.search",
    "techniques": "ltbench.api.tables",
    "verify": "ltbench.api.verify",
    **dict.fromkeys(
        (
            "Augment", "Auxiliary", "Branches", "Dataset", "DatasetInfo", "Ensemble", "Evidence", "Finetune", "Head", "Images", "LinearClassifier",
            "Loss", "Member", "Meta", "Metric", "Mix", "Mixed", "Model", "Moment", "Outputs", "ParameterGroup",
            "Partner", "Phase", "Posthoc", "Predicted", "Profile",
            "Regime", "Sampler", "Seen", "TimmNetwork", "Told", "Update", "View", "Weight",
        ),
        "ltbench.stages",
    ),
}  # fmt: skip

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604  # names are resolved by __getattr__

if TYPE_CHECKING:
    from ltbench.api.leaderboard import render as render
    from ltbench.api.plan import plan as plan
    from ltbench.api.recommend import recommend as recommend
    from ltbench.api.run import run as run
    from ltbench.api.search import search as search
    from ltbench.api.tables import compare as compare
    from ltbench.api.tables import load as load
    from ltbench.api.tables import techniques as techniques
    from ltbench.api.verify import verify as verify
    from ltbench.columns import Column as Column
    from ltbench.data_report import Census as Census
    from ltbench.data_report import DataReport as DataReport
    from ltbench.data_report import SkippedFiles as SkippedFiles
    from ltbench.engine.long_tailed import long_tailed as long_tailed
    from ltbench.executor import ExecutorOffer as ExecutorOffer
    from ltbench.hookspecs import hookimpl as hookimpl
    from ltbench.method import Method as Method
    from ltbench.observer import Observer as Observer
    from ltbench.observer import ObserverOffer as ObserverOffer
    from ltbench.stages import Augment as Augment
    from ltbench.stages import Auxiliary as Auxiliary
    from ltbench.stages import Branches as Branches
    from ltbench.stages import Dataset as Dataset
    from ltbench.stages import DatasetInfo as DatasetInfo
    from ltbench.stages import Ensemble as Ensemble
    from ltbench.stages import Evidence as Evidence
    from ltbench.stages import Finetune as Finetune
    from ltbench.stages import Head as Head
    from ltbench.stages import Images as Images
    from ltbench.stages import LinearClassifier as LinearClassifier
    from ltbench.stages import Loss as Loss
    from ltbench.stages import Member as Member
    from ltbench.stages import Meta as Meta
    from ltbench.stages import Metric as Metric
    from ltbench.stages import Mix as Mix
    from ltbench.stages import Mixed as Mixed
    from ltbench.stages import Model as Model
    from ltbench.stages import Moment as Moment
    from ltbench.stages import Outputs as Outputs
    from ltbench.stages import ParameterGroup as ParameterGroup
    from ltbench.stages import Partner as Partner
    from ltbench.stages import Phase as Phase
    from ltbench.stages import Posthoc as Posthoc
    from ltbench.stages import Predicted as Predicted
    from ltbench.stages import Profile as Profile
    from ltbench.stages import Regime as Regime
    from ltbench.stages import Sampler as Sampler
    from ltbench.stages import Seen as Seen
    from ltbench.stages import TimmNetwork as TimmNetwork
    from ltbench.stages import Told as Told
    from ltbench.stages import Update as Update
    from ltbench.stages import View as View
    from ltbench.stages import Weight as Weight
    from ltbench.trained_model.model import load_model as load_model
    from ltbench.tune import NotTuned as NotTuned
    from ltbench.tune import Tune as Tune


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name in _HOMES:
        try:
            return getattr(importlib.import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            from ltbench.errors import TRAINING, MissingExtra

            if (package := (error.name or "").partition(".")[0]) in TRAINING:
                raise MissingExtra.for_training(f"ltbench.{name}", package) from None
            raise
    raise AttributeError(f"module 'ltbench' has no attribute '{name}'")
