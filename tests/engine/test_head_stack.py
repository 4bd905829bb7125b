"""Stacks of classifiers: the bits of each are its own, failures stay its own, and results are those of single trainings."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
import torch
from engine.frozen_world import Diverging, Drawing, frozen_context, frozen_fit, still
from engine.world import Inverse, same, weights

from ltbench.core.spec import Job
from ltbench.engine import head_stack
from ltbench.engine.features import compute_features
from ltbench.engine.fit import fit, fit_together
from ltbench.errors import JobFailed
from ltbench.executor import Context
from ltbench.planning.feature_jobs import feature_jobs, stack_name
from ltbench_plugins.heads.cosine import Cosine
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.label_smooth import LabelSmooth
from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.samplers.cb_sampler import CbSampler

DEFERRED = still(0.5), still(1.0, weight=Inverse())


def jobs() -> list[Job]:
    """Return the fits of a stack that needs two tiles, some with classifiers of their own kind."""
    plain = [frozen_fit(still(loss=LabelSmooth(eps=0.01 * number))) for number in range(1, 9)]
    others = [
        frozen_fit(),
        frozen_fit(still(loss=BalancedSoftmax())),
        frozen_fit(still(loss=Ldam())),
        frozen_fit(still(loss=Drawing())),
        frozen_fit(*DEFERRED),
        frozen_fit(still(weight=Inverse())),
        frozen_fit(head=Cosine()),
    ]
    return [*plain, *others]


def context_with_features(root: Path) -> Context:
    context = frozen_context(root)
    for job in feature_jobs(frozen_fit().spec):
        compute_features(job, context)
    return context


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_with_features(tmp_path)


def alone(job: Job) -> Job:
    """Return a fit that trains by itself, with one matrix product per classifier."""
    return msgspec.structs.replace(job, together="")


def test_they_are_one_stack() -> None:
    names = {job.together for job in jobs()}
    assert len(names) == 1
    assert names != {""}


def test_the_bits_of_a_classifier_do_not_depend_on_the_others(tmp_path: Path) -> None:
    together = context_with_features(tmp_path / "together")
    assert fit_together(jobs(), together) == {}
    for number, job in enumerate(jobs()):
        apart = context_with_features(tmp_path / f"apart{number}")
        fit(job, apart)
        assert same(weights(apart, job), weights(together, job)), job.spec["segments"]
        assert apart.store.meta(job.key)["curve"] == together.store.meta(job.key)["curve"]
    order = jobs()
    random.Random(1).shuffle(order)
    shuffled = context_with_features(tmp_path / "shuffled")
    assert fit_together(order[:5], shuffled) == fit_together(order[5:], shuffled) == {}
    assert all(same(weights(shuffled, job), weights(together, job)) for job in order)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_stack_agrees_with_single_trainings(tmp_path: Path, optimizer: str) -> None:
    recipe = {"optimizer": optimizer, "lr": 0.05 if optimizer == "sgd" else 0.002, "weight_decay": 0.01}
    made = [
        frozen_fit(*segments, recipe=recipe)
        for segments in ((still(),), (still(loss=BalancedSoftmax()),), DEFERRED, (still(sampler=CbSampler()),))
    ]
    stacked, single = context_with_features(tmp_path / "a"), context_with_features(tmp_path / "b")
    for job in made:
        fit(job, stacked)
        fit(alone(job), single)
        for name, found in weights(stacked, job).items():
            torch.testing.assert_close(found, weights(single, job)[name], atol=2e-4, rtol=2e-3)


def test_half_precision_agrees_with_single_trainings(tmp_path: Path) -> None:
    job = frozen_fit(recipe={"precision": "bf16"})
    for name in ("a", "b"):
        context = frozen_context(tmp_path / name)
        for one in feature_jobs(job.spec):
            compute_features(one, context)
        fit(job if name == "a" else alone(job), context)
    first, second = (weights(frozen_context(tmp_path / name), job) for name in ("a", "b"))
    torch.testing.assert_close(first["classifier.weight"], second["classifier.weight"], atol=0.02, rtol=0.02)


def test_one_that_fails_leaves_the_others_as_they_are(context: Context, tmp_path: Path) -> None:
    bad = frozen_fit(still(loss=Diverging()), recipe=None)
    others = jobs()
    failed = fit_together([others[0], bad, *others[1:]], context)
    assert list(failed) == [bad.key]
    assert isinstance(failed[bad.key], JobFailed)
    assert "not finite" in str(failed[bad.key])
    assert not context.store.has(bad.key)
    whole = context_with_features(tmp_path / "whole")
    fit_together(others, whole)
    assert all(same(weights(context, job), weights(whole, job)) for job in others)


def test_a_fit_alone_raises_its_error(context: Context) -> None:
    with pytest.raises(JobFailed, match="not finite"):
        fit(frozen_fit(still(loss=Diverging())), context)


def test_what_is_stored_is_not_trained_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit_together(jobs()[:3], context) == {}
    before = [context.store.path(job.key).stat().st_mtime_ns for job in jobs()[:3]]
    assert fit_together(jobs()[:4], context) == {}
    assert [context.store.path(job.key).stat().st_mtime_ns for job in jobs()[:3]] == before
    monkeypatch.setattr(head_stack.HeadStack, "run", None)
    assert fit_together(jobs()[:4], context) == {}


@pytest.mark.parametrize(
    "segments",
    [
        (still(0.5), still(1.0, restart=True)),
        (still(0.5), still(1.0, lr_scale=0.1)),
        (still(max_norm=1.0),),
        (still(classifier="scale", restart=True),),
        (still(auxiliary={"name": "x"}),),
        (still(update={"name": "x"}),),
    ],
)
def test_what_a_stack_cannot_do_trains_alone(segments: tuple[dict[str, object], ...]) -> None:
    assert stack_name(frozen_fit(*segments).spec) == ""


def test_what_sees_other_batches_is_another_stack() -> None:
    names = {
        stack_name(frozen_fit(*segments, **more).spec)  # type: ignore[arg-type]
        for segments, more in (
            ((still(),), {}),
            ((still(sampler=CbSampler()),), {}),
            ((still(0.5), still(1.0, sampler=CbSampler())), {}),
            ((still(),), {"seed": 1}),
            ((still(),), {"factor": 2.0}),
            ((still(),), {"held_out": 0.2}),
            ((still(),), {"bag": 0}),
            ((still(),), {"recipe": {"lr": 0.01}}),
            ((still(0.5),), {}),
        )
    }
    assert len(names) == 9
    assert stack_name(frozen_fit(recipe={"ema": 0.9}).spec) == ""
