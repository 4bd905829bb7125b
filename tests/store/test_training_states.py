"""States of trainings exist as long as a job needs them."""

from __future__ import annotations

import msgspec
import pytest
from fakes import WORK, make, plan

from ltbench.errors import Interrupted
from ltbench.executor import Context, Terms
from ltbench.executors.inline import Inline
from ltbench.running.runner import run
from ltbench.store.training_states import end_state, fit_of, remove_states, snapshots


def put(here: Context, *keys: str) -> None:
    for key in keys:
        with here.store.writing(key) as folder:
            (folder / "meta.json").write_text("{}")


def chain(late1: str = "nothing", sleeps: float = 0.0):
    """A plain run and two deferred ones, which resume from its first part."""
    first = msgspec.structs.replace(make("first", does="keep_state", sleeps=sleeps), keep_state=True)
    return plan(
        first,
        make("plain", "first", sleeps=sleeps), make("cell1", "plain", kind="cell"),
        make("late1", "first", does=late1, sleeps=sleeps), make("cell2", "late1", kind="cell"),
        make("late2", "first", sleeps=sleeps), make("cell3", "late2", kind="cell"),
    )  # fmt: skip


def test_names_lead_back_to_their_fit() -> None:
    assert {fit_of(key) for key in (end_state("fit"), *snapshots("fit"))} == {"fit"}
    assert fit_of("fit") is None


def test_removing_states_leaves_the_fit(here: Context) -> None:
    put(here, "fit", end_state("fit"), *snapshots("fit"))
    remove_states("fit", here.store)
    assert here.store.has("fit")
    assert not any(map(here.store.has, (end_state("fit"), *snapshots("fit"))))


def states(here: Context) -> list[str]:
    return sorted(path.name for path in (here.store.root / "jobs").glob("*/*") if fit_of(path.name))


def test_a_state_goes_with_the_last_fit_that_needs_it(here: Context) -> None:
    seen: list[tuple[str, list[str]]] = []

    def watch(event) -> None:
        if event.kind == "done" and event.job.kind == "fit":
            seen.append((event.job.key, states(here)))

    with Inline(here, Terms(work=WORK)) as executor:
        run(chain(), here, executor, on_event=watch)
    assert seen == [("first", ["first-state"]), ("plain", ["first-state"]), ("late1", ["first-state"]), ("late2", [])]


def test_a_state_to_keep_stays(here: Context) -> None:
    with Inline(here, Terms(work=WORK)) as executor:
        run(chain(), here, executor, keep_states={"first"})
    assert states(here) == ["first-state"]


def test_a_later_run_removes_the_states_of_a_killed_one(here: Context) -> None:
    put(here, "first", end_state("first"), "plain", "late1", "late2", snapshots("plain")[0])
    with Inline(here, Terms(work=WORK)) as executor:
        assert run(chain(), here, executor).ran == {"cell": 3}
    assert states(here) == []


def test_a_stopped_run_leaves_the_states_that_the_next_one_needs(here: Context) -> None:
    with Inline(here, Terms(work=WORK)) as executor, pytest.raises(Interrupted):
        run(chain(late1="stop", sleeps=0.6), here, executor)  # long enough not to be gathered into one task
    assert states(here) == ["first-state"]
    with Inline(here, Terms(work=WORK)) as executor:
        assert run(chain(), here, executor).done == 3
    assert states(here) == []
