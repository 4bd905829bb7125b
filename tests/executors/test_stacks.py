"""Fits of a stack in one process: outcomes of each, and what happens if one of them breaks the stack."""

from __future__ import annotations

import os

import msgspec
import pytest
from fakes import context, make

from ltbench.errors import JobFailed, StoreError
from ltbench.executors import perform as module
from ltbench.executors.execute import execute
from ltbench.executors.perform import perform


@pytest.fixture
def here(tmp_path):
    return context(tmp_path / "store")


def stack(*keys):
    return [msgspec.structs.replace(make(key), together="stack") for key in keys]


def store_all(jobs, here, *, but=()):
    for job in jobs:
        if job.key not in but:
            with here.store.writing(job.key) as folder:
                (folder / "meta.json").write_text("{}")


def outcomes(jobs, here):
    return {outcome.key: outcome for outcome in perform(jobs, here, execute)}


def test_each_fit_has_an_outcome_of_its_own(here, monkeypatch):
    def together(jobs, context):
        store_all(jobs, context, but=["bad1"])
        return {"bad1": JobFailed("the loss is not finite")}

    monkeypatch.setattr(module, "execute_together", together)
    store_all(stack("old1"), here)
    with here.store.lease("held"):
        found = outcomes(stack("old1", "new1", "bad1", "held"), here)
    assert {key: outcome.status for key, outcome in found.items()} == {
        "old1": "found", "new1": "done", "bad1": "failed", "held": "busy",
    }  # fmt: skip
    assert found["bad1"].error["message"] == "the loss is not finite"


@pytest.mark.parametrize("error", [RuntimeError("x"), StoreError("x"), KeyboardInterrupt("from a plugin")])
def test_an_error_of_the_stack_itself_sets_its_fits_apart(here, monkeypatch, error):
    def together(jobs, context):
        store_all(jobs[:1], context)
        raise error

    monkeypatch.setattr(module, "execute_together", together)
    monkeypatch.setattr(module, "is_request_to_stop", lambda _error: False)
    found = outcomes(stack("one1", "two2"), here)
    assert [outcome.status for outcome in found.values()] == ["apart", "apart"]
    assert not here.store.has("one1")


def test_a_changed_state_of_the_process_sets_them_apart_and_is_undone(here, monkeypatch):
    def together(jobs, context):
        os.environ["LTBENCH_TEST_LEAK"] = "1"
        store_all(jobs, context)
        return {}

    monkeypatch.setattr(module, "execute_together", together)
    found = outcomes([*stack("one1", "two2"), make("next1", kind="predict")], here)
    assert "LTBENCH_TEST_LEAK" not in os.environ
    assert [outcome.status for outcome in found.values()] == ["apart", "apart", "skipped"]
    assert all(outcome.changed for outcome in found.values() if outcome.status == "apart")
    assert not here.store.has("one1")


def test_a_child_of_a_fit_that_failed_is_skipped(here, monkeypatch):
    monkeypatch.setattr(module, "execute_together", lambda jobs, _context: {jobs[0].key: JobFailed("no")})
    jobs = [*stack("one1", "two2"), make("child1", "one1", kind="predict")]
    store_all(jobs[1:2], here)
    assert outcomes(jobs, here)["child1"].status == "skipped"
