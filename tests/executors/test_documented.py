"""The executor of the documentation keeps what the documentation says of executors."""

from __future__ import annotations

import multiprocessing
import re
import time
from pathlib import Path

import pytest
from fakes import WORK, ended, journal_keys, make, pids, statuses, tree, wait_for

from ltbench.core.plugins import PluginOrigin
from ltbench.errors import WorkerRefused
from ltbench.executor import Terms
from ltbench.registry.registry import Registry
from ltbench.running.runner import run

PAGE = Path(__file__).parents[2] / "docs" / "stages" / "executor.md"


@pytest.fixture
def pool(tmp_path, here):
    """Return how the executor of the page is made."""
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    file = tmp_path / "pool.py"
    file.write_text(example, encoding="utf-8")
    offer = Registry.load(PluginOrigin(plugin_files=(str(file),))).executor("pool[workers=2]")
    return lambda **terms: offer.make(here, Terms(work=WORK, **terms))


def test_it_is_about_a_hundred_lines():
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) < 110


def test_a_whole_run_does_everything_once(pool, here):
    with pool() as executor:
        assert run(tree(fits=3, sleeps=0.02), here, executor).ran == {"fit": 3, "predict": 3, "cell": 9}
    assert sorted(journal_keys(here.store, "began")) == sorted(tree(fits=3).jobs)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("does", ["kill_itself", "vanish"])
def test_the_death_of_a_worker_costs_the_job_that_it_was_running(pool, does):
    with pool() as executor:
        died = [make("job1"), make("job2", does=does), make("job3", "job2"), make("job4")]
        outcomes = ended(executor, died, [make("other", sleeps=1.0)])
        assert statuses(outcomes) == {
            "job1": "done", "job2": "died", "job3": "skipped", "job4": "skipped", "other": "done",
        }  # fmt: skip
        assert outcomes["job2"].error["message"] == "the fit's worker died"
        assert outcomes["job2"].error["log"] == ("last words\n" if does == "kill_itself" else "")
        again = ended(executor, [make("job2"), make("job3", "job2")], [make("job4")])
    assert statuses(again) == {"job2": "done", "job3": "done", "job4": "done"}


def test_a_worker_that_dies_while_idle_is_replaced(pool):
    with pool() as executor:
        ended(executor, [make("job1")])
        for process in multiprocessing.active_children():
            process.kill()
        time.sleep(0.5)
        assert statuses(ended(executor, [make("job2")])) == {"job2": "done"}


def test_limits_and_logs_are_kept(pool, here):
    with pool(timeout=2.0) as executor:
        outcomes = ended(executor, [make("job1", does="talk")], [make("job2", does="fail")])
        assert statuses(outcomes) == {"job1": "done", "job2": "failed"}
        hung = ended(executor, [make("job3", does="hang")])
    assert "said by a program" in here.store.log("job1")
    assert hung["job3"].error["message"] == "the fit's worker took more than 2 s"
    assert "in hang" in here.store.log("job3")


def test_stopping_kills_what_runs(pool, here):
    executor = pool()
    executor.submit([make("job1", does="hang")])
    wait_for(lambda: journal_keys(here.store, "began"))
    started = time.monotonic()
    executor.stop()
    assert time.monotonic() - started < 5
    assert not multiprocessing.active_children()
    assert here.store.lease("job1") is not None
    assert not list((here.store.root / "logs").glob("*.out"))


def test_another_version_is_refused(pool, monkeypatch):
    monkeypatch.setattr("ltbench.executors.remote.versions", lambda *_: {"the harness": ["ltbench", "9.9", "abc"]})
    executor = pool()
    with pytest.raises(WorkerRefused, match="another version of ltbench"), executor:
        ended(executor, [make("job1")])


def test_a_worker_whose_state_a_job_has_changed_is_replaced(pool, here):
    with pool() as executor:
        outcomes = ended(executor, [make("job1"), make("job2", does="change_the_state"), make("job3")])
        assert statuses(outcomes) == {"job1": "done", "job2": "failed", "job3": "skipped"}
        said = "the fit changed the environment variable LTBENCH_LEFT_BY_A_JOB"
        assert outcomes["job2"].error["message"].startswith(said)
        assert statuses(ended(executor, [make("job3")])) == {"job3": "done"}
    assert not here.store.has("job2")
    assert len(set(pids(here.store))) == 2
