"""Networks that train in one pass: each as by itself, whatever it differs in from the others, also if some fail or all are killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine.accidents import SNAPSHOT, Accident
from engine.frozen_world import Diverging
from engine.world import Half, Inverse, Net, context_of, fit_job, plain, weights

from ltbench.core.spec import Job
from ltbench.engine.fit import fit, fit_together
from ltbench.engine.network_stack import NetworkStack
from ltbench.engine.resume import Snapshots
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench.executor import Context
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.mixes.mixup import Mixup

MORE = (BalancedSoftmax, Ldam, Diverging)
DRY = Net(dropout=0)


def job(*segments: Any, **changes: Any) -> Job:
    return fit_job(*segments, model=DRY, **changes)


def jobs(**changes: Any) -> list[Job]:
    """Return fits that differ in all in which fits of a stack may."""
    return [
        job(seed=0, **changes),
        job(seed=1, **changes),
        job(plain(loss=BalancedSoftmax()), **changes),
        job(plain(mix=Mixup()), **changes),
        job(plain(weight=Inverse(), augment=None), seed=2, **changes),
    ]


def halves() -> list[Job]:
    """Return fits with two phases, the second of the classifier alone."""
    return [
        job(plain(0.5), plain(loss=Ldam(), trainable="classifier"), seed=seed, recipe={"weight_decay": 0.01})
        for seed in (0, 1)
    ]


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the stacks that run."""
    found: list[int] = []
    run = NetworkStack.run

    def counted(stack: NetworkStack) -> dict[str, Exception]:
        found.append(len(stack._trainings))
        return run(stack)

    monkeypatch.setattr(NetworkStack, "run", counted)
    return found


def alone(given: list[Job], folder: Path) -> Context:
    context = context_of(folder, *MORE)
    for one in given:
        fit(one, context)
    return context


def assert_alike(one: Context, other: Context, job: Job) -> None:
    first, second = weights(one, job), weights(other, job)
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=2e-4, rtol=2e-3)
    curves = [context.store.meta(job.key)["curve"] for context in (one, other)]
    assert curves[0]["loss"] == pytest.approx(curves[1]["loss"], abs=1e-3)
    steps = [context.store.meta(job.key)["steps"] for context in (one, other)]
    assert steps[0] == steps[1] > 0


@pytest.mark.parametrize(
    "given",
    [jobs(), halves(), *(jobs(recipe={"optimizer": name, "lr": 0.002}) for name in ("adam", "adamw")),
     jobs(recipe={"optimizer": "rmsprop", "lr": 0.0002})],  # it divides by what is tiny in the first steps
)  # fmt: skip
def test_each_is_trained_as_by_itself(given: list[Job], tmp_path: Path, stacks: list[int]) -> None:
    together = context_of(tmp_path / "together", *MORE)
    assert fit_together(given, together) == {}
    assert stacks == [len(given)]
    apart = alone(given, tmp_path / "apart")
    for one in given:
        assert_alike(together, apart, one)


def test_others_train_by_themselves_with_their_own_bits(tmp_path: Path, stacks: list[int]) -> None:
    own = [
        fit_job(),  # with dropout
        job(recipe={"ema": 0.9}),
        job(plain(0.5), plain(restart=True)),
        job(plain(sampler=Half())),
        job(factor=1.0),
    ]
    together = context_of(tmp_path / "together", *MORE)
    for one in own:
        assert fit_together([one, *jobs()[:2]], together) == {}
    assert stacks == [2]  # once, as the others are in the store afterwards
    apart = alone(own, tmp_path / "apart")
    for one in own:
        assert all(torch.equal(value, weights(apart, one)[name]) for name, value in weights(together, one).items())


def test_one_that_fails_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    bad = job(plain(loss=Diverging()))
    given = jobs()
    context = context_of(tmp_path / "together", *MORE)
    failed = fit_together([given[0], bad, *given[1:]], context)
    assert list(failed) == [bad.key]
    assert isinstance(failed[bad.key], JobFailed)
    assert not context.store.has(bad.key)
    apart = alone(given, tmp_path / "apart")
    for one in given:
        assert_alike(context, apart, one)


@pytest.mark.parametrize("at", [1, 9, 20])
@pytest.mark.parametrize("given", [jobs(recipe={"optimizer": "adam", "lr": 0.002}), halves()])
def test_killed_and_resumed_it_ends_with_the_same_bits(
    given: list[Job], at: int, tmp_path: Path, stacks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = context_of(tmp_path / "whole", *MORE), context_of(tmp_path / "parts", *MORE)
    assert fit_together(given, whole) == {}

    def then_an_accident(self: Snapshots, training: Training) -> None:
        if training.steps == at:
            self._last -= self._every + 1
            SNAPSHOT(self, training)
        elif training.steps > at:
            raise Accident

    monkeypatch.setattr(Snapshots, "__call__", then_an_accident)
    with pytest.raises(Accident):
        fit_together(given, parts)
    monkeypatch.setattr(Snapshots, "__call__", lambda self, training: None)
    assert fit_together(given, parts) == {}
    assert stacks == [len(given)] * 3
    for one in given:
        assert parts.store.meta(one.key)["resumed_from"]
        assert all(torch.equal(value, weights(parts, one)[name]) for name, value in weights(whole, one).items())


def test_a_fit_whose_state_others_need_stores_it(tmp_path: Path, stacks: list[int]) -> None:
    firsts = [job(plain(0.5), seed=seed, keep_state=True) for seed in (0, 1)]
    lasts = [
        job(plain(0.5), plain(1.0, weight=Inverse()), seed=seed, parents=[first.key])
        for seed, first in enumerate(firsts)
    ]
    context = context_of(tmp_path / "together", *MORE)
    assert fit_together(firsts, context) == fit_together(lasts, context) == {}
    assert stacks == [2, 2]
    apart = alone(lasts, tmp_path / "apart")
    for one in lasts:
        assert context.store.meta(one.key)["resumed_from"]
        assert_alike(context, apart, one)
