"""Each check of the kit against techniques that are broken on purpose: it fails, and no other does."""

from __future__ import annotations

import importlib

import pytest
from testing.broken.marks import BROKEN

from ltbench.testing import conformance
from ltbench.testing.checks_by_stage import CHECKS, of_stage
from ltbench.testing.conformance import trials

MODULES = (
    "manners", "heavy", "learning", "auxiliary", "branches", "finetune", "head_and_update", "feeding", "inference", "data",
)  # fmt: skip
for module in MODULES:
    importlib.import_module(f"testing.broken.{module}")
SOUND = {
    kind.__mro__[1] for kind, _ in BROKEN if kind.__mro__[1].__module__.startswith("testing.broken")
}  # what broken techniques differ from in one thing


@pytest.mark.parametrize(("technique", "failing"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
def test_a_broken_technique_fails_exactly_its_check(technique, failing, registry) -> None:
    if "is_the_same_on_a_gpu" in failing:
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("there is no GPU here")
    found = [finding for finding in conformance(technique, registry) if finding.state == "failed"]
    assert {finding.check for finding in found} == failing, [str(finding) for finding in found]
    assert all(finding.text and finding.fix for finding in found)


@pytest.mark.parametrize("technique", sorted(SOUND, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_a_sound_counterpart_passes(technique, registry) -> None:
    assert [str(f) for f in conformance(technique, registry) if f.state == "failed"] == []


def test_there_is_a_broken_technique_for_every_check() -> None:
    caught = {check for _, failing in BROKEN for check in failing}
    assert {check.name for stage in CHECKS for check in of_stage(stage)} == caught


def test_every_check_states_its_requirement_and_a_reason() -> None:
    for stage in CHECKS:
        for check in of_stage(stage):
            demand, empty, *why = (check.run.__doc__ or "").strip().split("\n")
            assert demand.endswith("."), check.name
            assert not empty
            assert why, check.name


def test_names_of_trials_are_unique() -> None:
    for technique, _ in BROKEN:
        ids = [trial.id for trial in trials(technique)]
        assert len(set(ids)) == len(ids)
