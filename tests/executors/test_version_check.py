"""Versions of command and worker: what is compared, and how a difference is told."""

from __future__ import annotations

import pytest
from fakes import make

from ltbench import __version__
from ltbench.errors import WorkerRefused
from ltbench.executors.version_check import greet, own_source, versions

HARNESS = ["ltbench", __version__, own_source()]


def test_versions_are_those_of_the_techniques_that_the_jobs_use(registry):
    fit = make("fit1", model=registry.spec(registry.parse("convnet")),
               segments=[{"loss": registry.spec(registry.parse("focal[gamma=1]")), "mix": None}])  # fmt: skip
    found = versions([fit], registry)
    assert sorted(found) == ["ltbench/convnet", "ltbench/focal", "the harness"]
    assert found["the harness"] == HARNESS
    provenance = registry.provenance(registry.parse("focal"))
    assert found["ltbench/focal"] == [provenance["distribution"], provenance["version"], provenance["source"]]


def test_a_cell_uses_every_metric(registry):
    assert set(registry.of("metric")) <= set(versions([make("cell1", kind="cell")], registry))


def test_the_same_versions_are_welcome(registry):
    greet(versions([make("fit1", loss=registry.spec(registry.parse("focal")))], registry), registry, where="here")


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ({"the harness": ["ltbench", "9.9", "abc"]}, "the command ltbench 9.9 (source abc)"),
        ({"the harness": ["ltbench", __version__, "abc"]}, f"the command ltbench {__version__} (source abc)"),
        ({}, "the command none"),
        ({"the harness": HARNESS, "ltbench/focal": ["ltbench", "0.0", "abc"]}, "the command ltbench 0.0 (source abc)"),
        (
            {"the harness": HARNESS, "lab/not_here": ["lab", "1", ""]},
            "the worker has none, the command lab 1 (source unkn",
        ),
    ],
)
def test_a_difference_is_refused_with_both_versions(registry, theirs, says):
    with pytest.raises(WorkerRefused) as caught:
        greet(theirs, registry, where="worker 7")
    assert says in caught.value.why
    assert caught.value.where == "worker 7"
    assert "then run the same command to continue" in caught.value.fix
