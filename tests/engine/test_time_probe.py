"""A probe tells how long a training will take, and neither the training nor the store notices."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from engine.world import CLASSES, context_of, digest, fit_job, plain

from ltbench.engine import time_probe as module
from ltbench.engine.fit import fit
from ltbench.engine.time_probe import probe
from ltbench.errors import JobFailed
from ltbench_plugins.mixes.mixup import Mixup


def test_a_probe_tells_of_the_whole_job_and_leaves_nothing(tmp_path):
    context = context_of(tmp_path)
    pace = probe(fit_job(), context, 0.5)
    assert pace.seconds > 0
    assert pace.steps >= 2
    assert pace.macs == 6 * 9 * 64 + 96 * CLASSES  # as for a fit: a 3x3 convolution on 8x8, and the head
    assert not context.store.root.exists()


def test_a_fit_after_a_probe_gives_the_same_bits(tmp_path):
    from plugins.checks import global_randomness_untouched

    job = fit_job(plain(mix=Mixup()))
    one, other = context_of(tmp_path / "one"), context_of(tmp_path / "other")
    fit(job, one)
    with global_randomness_untouched():
        probe(job, other, 0.2)
    fit(job, other)
    assert digest(one, job) == digest(other, job)


@pytest.fixture
def steady(monkeypatch):
    """Trainings of a hundredth of a second a step, the very first one far slower, on a clock of their own."""
    clock, made = [0.0], []

    class Steady:
        def __init__(self, spec, subset, registry, device):
            self.steps = spec["recipe"].get("steps", 0)
            self.spans, self.macs = [range(100), range(280)], 7
            self.segments = spec["segments"]
            clock[0] += 1.0
            made.append(self)

        def run(self):
            first = len(made) == 2
            self.seconds = self.steps * (1.0 if first else 0.01)
            clock[0] += self.seconds

    monkeypatch.setattr(module, "Training", Steady)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    return made


def test_only_the_last_segments_steps_count_and_the_first_ones_are_left_out(tmp_path, steady):
    job = fit_job(plain(0.5), plain(1.0, mix=Mixup(), trainable="classifier"))
    pace = probe(job, context_of(tmp_path), 60.0)
    assert pace.seconds == pytest.approx(1.0 + 280 * 0.01)  # to build it, and its steps
    assert [one.steps for one in steady] == [0, 1, 2, 4, 8, 16, 32, 64]
    assert [segment["until"] for segment in steady[-1].segments] == [1.0]
    assert steady[-1].segments[0]["trainable"] == "classifier"


@pytest.mark.parametrize(("seconds", "steps"), [(0.0, 2), (4.0, 2), (4.5, 4), (5.2, 8)])
def test_a_probe_makes_as_many_steps_as_its_time_allows(tmp_path, steady, seconds, steps):
    # A second to build each try; the first one's step takes a second, too.
    assert probe(fit_job(), context_of(tmp_path), seconds).steps == steps


def test_what_a_fit_raises_a_probe_raises(tmp_path):
    with pytest.raises(JobFailed, match="not finite"):
        probe(fit_job(recipe={"lr": 1e30}), context_of(tmp_path), 5.0)
