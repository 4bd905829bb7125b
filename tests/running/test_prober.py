"""Probing in a process of its own: from a plan that nothing is known of, and in the course of a run."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner
from fakes import context, make, wait_for

from ltbench.cli import group
from ltbench.running import prober as probing
from ltbench.running.events import Event
from ltbench.running.prober import Answer, Patience, Prober, measure_all
from ltbench.running.run_counts import RunCounts
from ltbench.timing.estimate import Prediction
from ltbench.timing.job_shape import Shape


@pytest.fixture
def asked(monkeypatch):
    """Have every probe answered at once: two seconds, or why not. Return what was asked."""
    keys = []

    def ask(self, job):
        keys.append(job.key)
        return Answer(error="no such model") if job.key == "broken" else Answer(seconds=2.0, macs=5.0)

    monkeypatch.setattr(Prober, "ask", ask)
    monkeypatch.setattr(Prober, "start", lambda self: None)
    return keys


def predicting(store=None):
    return Prediction(lambda job: (Shape(kind=job.kind, model=job.spec.get("model", "net")), 1.0), store)


def plan(store, *args):
    words = ["plan", "--store", str(store), "--imbalance-factors", "100", "--seeds", "0", "--plugins", "mixup"]
    result = CliRunner().invoke(group, [*words, *args])
    assert result.exit_code == 0, result.exception
    return result


def test_a_plan_says_what_is_not_known_and_a_probe_tells_once_and_for_all(tmp_path):
    store = tmp_path / "store"
    text = plan(store).stdout
    assert "not known: nothing is known of 2 trainings; --probe measures a few steps" in text
    assert not store.exists()
    facts = json.loads(plan(store, "--json").stdout)
    assert (facts["predicted_seconds"], facts["predicted_elapsed"], facts["trainings_not_predicted"]) == (None, None, 2)
    probed = plan(store, "--json", "--probe", "--workers", "2")
    facts = json.loads(probed.stdout)
    assert facts["predicted_seconds"] > facts["predicted_elapsed"] / 2 > 0
    assert facts["predicted_from"]["probe"] > 0
    assert (facts["predicted_for_workers"], facts["trainings_not_predicted"]) == (2, 0)
    assert "probe 2/2: convnet, shuffle crop_flip[padding=2] mixup: about " in probed.stderr
    assert [path.name for path in store.iterdir()] == ["speeds"]
    again = plan(store, "--probe")
    assert again.stderr == ""
    assert "from probes" in again.stdout


def test_a_shape_that_cannot_be_measured_costs_itself_alone(tmp_path, asked):
    known = predicting()
    jobs = [make("fit1"), make("broken", model="other"), make("fit2", model="third")]
    told = [(job.key, error) for job, error in measure_all(jobs, context(tmp_path), known)]
    assert told == [("fit1", ""), ("broken", "no such model"), ("fit2", "")]
    assert [known.seconds(job) for job in jobs] == [2.0, None, 2.0]


def test_no_further_shape_is_begun_when_the_time_is_over(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(probing, "TOTAL_SECONDS", -1.0)
    assert list(measure_all([make("fit1")], context(tmp_path), predicting())) == []


def test_a_probe_that_dies_is_an_answer(tmp_path):
    with Prober(context(tmp_path)) as prober:
        prober.start()
        prober.kill()
        assert "died" in prober.ask(make("fit1")).error
    assert not list(tmp_path.iterdir())


def running(*jobs, elapsed):
    tally = RunCounts(cells=1, slots=1, prediction=predicting())
    tally.add(jobs)
    tally.started = time.monotonic() - elapsed
    return tally


def test_a_run_that_nobody_can_predict_is_probed_after_a_while(tmp_path, asked):
    tally = running(make("fit1"), make("fit2"), elapsed=5.0)
    with Patience(context(tmp_path), patience=10.0) as patience:
        patience(Event(kind="tick", tally=tally))
        assert asked == []
        tally.started -= 6.0
        patience(Event(kind="tick", tally=tally))
        wait_for(lambda: patience._found)
        patience(Event(kind="tick", tally=tally))
        assert tally.eta == pytest.approx(4.0, abs=0.1)
        patience(Event(kind="tick", tally=tally))
    assert asked == ["fit1"]


def test_a_shape_is_asked_for_once(tmp_path, asked):
    tally = running(make("broken"), elapsed=20.0)
    with Patience(context(tmp_path)) as patience:
        for _ in range(3):
            patience(Event(kind="tick", tally=tally))
            patience._thread.join()
    assert asked == ["broken"]


def test_a_run_that_is_predicted_is_left_alone(tmp_path, asked):
    tally = running(make("fit1"), make("fit2"), elapsed=100.0)
    tally.finish(make("fit1"), seconds=3.0)
    with Patience(context(tmp_path)) as patience:
        patience(Event(kind="tick", tally=tally))
    assert asked == []
