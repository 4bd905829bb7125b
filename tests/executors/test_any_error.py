"""Whatever a plugin raises costs its own cells or numbers, and never the run."""

from __future__ import annotations

import pytest
import torch
from support import ltbench, suite_source

from ltbench.errors import raised
from ltbench.stages import Loss
from ltbench.store.store import Store

PLUGIN = """
from ltbench.hookspecs import hookimpl
from ltbench.stages import Loss, Metric, Posthoc


class Stop(BaseException):
    pass


class StopLoss(Loss, frozen=True):
    \"\"\"A loss that raises.\"\"\"

    name = "stop_loss"

    def per_sample(self, logits, labels, counts):
        raise {error}


class StopPosthoc(Posthoc, frozen=True):
    \"\"\"A posthoc that raises.\"\"\"

    name = "stop_posthoc"

    def adjust(self, logits, counts):
        raise {error}


class StopMetric(Metric, frozen=True):
    \"\"\"A metric that raises.\"\"\"

    name = "stop_metric"

    def compute(self, probabilities, labels, counts):
        raise {error}


@hookimpl
def ltbench_losses():
    return [StopLoss]


@hookimpl
def ltbench_posthocs():
    return [StopPosthoc]


@hookimpl
def ltbench_metrics():
    return [StopMetric]
"""


@pytest.mark.parametrize(
    ("error", "executor"),
    [("KeyboardInterrupt", "inline"), ("KeyboardInterrupt", "local"), ("Stop", "inline"), ("GeneratorExit", "local")],
)
def test_what_is_no_exception_is_the_failure_of_its_technique_too(tmp_path, error, executor):
    (tmp_path / "stops.py").write_text(PLUGIN.format(error=error))
    recipe = {"steps": 2, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
    combinations = [["stop_loss"], ["stop_posthoc"]]
    source = suite_source("tiny", recipe, combinations=combinations, seeds=[0], figures=[], models=["convnet[width=4]"])
    (tmp_path / "tiny.toml").write_text(source)
    done = ltbench(
        "run", "--suite", str(tmp_path / "tiny.toml"), "--plugin-file", str(tmp_path / "stops.py"),
        *("--executor", executor, "--workers", "1", "--store", str(tmp_path / "store")),
        *("--leaderboards", str(tmp_path / "pages")),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-3000:]
    store = Store(tmp_path / "store")
    for record in map(store.record, store.cells()):
        picked = [label for label in record["combination"].values() if label and label.startswith("stop")]
        if picked:
            assert f"{picked[0]}' of " in record["error"]["message"]
            assert error in record["error"]["message"]
        else:
            assert record["failed_metrics"]["stop_metric"]["message"].endswith(f"raised {error}")
            assert record["metrics"]["top1"] >= 0
    assert len(list(store.cells())) == 3


def test_a_method_that_a_technique_does_not_define_is_named():
    class Unfinished(Loss):
        """A loss."""

        name = "unfinished"

    with pytest.raises(NotImplementedError) as caught:
        Unfinished().per_sample(torch.zeros(1, 2), torch.zeros(1), torch.ones(2))
    assert raised(caught.value) == "NotImplementedError: method 'per_sample' is not defined"
