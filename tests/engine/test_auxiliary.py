"""Auxiliaries in trainings: what they get, what they add to the objective, and that they resume."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import torch
from engine.accidents import fit_with_accident
from engine.test_fit import assert_resumes, trained
from engine.trainings import training_of
from engine.world import TECHNIQUES, Inverse, Net, World, context_of, fit_job, plain, same, weights

from ltbench import Auxiliary, Mix, Mixed
from ltbench.core.spec import Spec
from ltbench.engine.batches import Feed
from ltbench.engine.fit import fit
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.auxiliaries.bcl import Bcl
from ltbench_plugins.auxiliaries.kcl import Kcl
from ltbench_plugins.auxiliaries.lade import Lade
from ltbench_plugins.auxiliaries.paco import Paco
from ltbench_plugins.auxiliaries.proco import Proco
from ltbench_plugins.auxiliaries.supcon import Supcon
from ltbench_plugins.auxiliaries.tsc import Tsc
from ltbench_plugins.mixes.mixup import Mixup

OWN = (Supcon(one_view=True), Supcon(), Kcl(k=1), Tsc(k=1), Bcl(hidden=7), Paco(queue=20), Proco(hidden=7), Lade())


class Constant(Auxiliary, frozen=True):
    """Adds a constant. Source: none."""

    name = "constant"

    def term(self, views, labels, counts, moment):
        return 0 * views[0].logits.sum() + 5


class Whole(Constant, frozen=True):
    """Is a constant in place of the loss. Source: none."""

    name = "whole"
    replaces_loss = True


class Spy(Auxiliary, frozen=True):
    """Records what it gets. Source: none."""

    name = "spy"
    momentum = 0.5
    terms: ClassVar[list[Any]] = []
    steps: ClassVar[list[Any]] = []

    @property
    def views(self):
        return ("", "crop_flip")

    def learns(self, features, classes, counts):
        return torch.nn.Linear(features, 2)

    def term(self, views, labels, counts, moment):
        projections = [view.slow.own(view.slow.features) for view in views]
        self.terms.append((labels, [view.features.detach() for view in views], projections))
        return views[0].own(views[0].features).square().mean()

    def after_step(self, outputs, batch, network, state):
        projections = [view.slow.own(view.slow.features) for view in outputs.views]
        self.steps.append((batch.labels_a, [view.features for view in outputs.views], projections))
        return state


class Slow(Auxiliary, frozen=True):
    """Pulls the features to those of a moving average. Source: none."""

    name = "slow"
    momentum = 0.5

    def term(self, views, labels, counts, moment):
        assert views[0].slow.features.shape == views[0].features.shape
        return (views[0].logits - views[0].slow.logits).square().mean()


class Keys(Constant, frozen=True):
    """Looks at a second view through the moving average alone. Source: none."""

    name = "keys"
    views: ClassVar[tuple[str, ...]] = ("", "crop_flip")
    momentum = 0.5
    slow_only = (1,)

    def term(self, views, labels, counts, moment):
        assert views[0].slow is None
        assert views[1].features is views[1].logits is views[1].branches is None
        assert views[1].slow.features.shape == views[0].features.shape
        return super().term(views, labels, counts, moment)


class Both(Keys, frozen=True):
    """Looks at both views through both networks. Source: none."""

    name = "both"
    slow_only = ()
    term = Constant.term


class Twins(Both, frozen=True):
    """Compares both networks in the first step, when they are equal. Source: none."""

    name = "twins"

    def term(self, views, labels, counts, moment):
        if moment.step == 0:
            for view, other in zip(views, reversed(views), strict=True):
                torch.testing.assert_close(view.slow.features, view.features)
                assert not torch.allclose(view.slow.features, other.features)
        return super().term(views, labels, counts, moment)


class Backwards(Mix, frozen=True):
    """Blends nothing, and returns the batch from its end. Source: none."""

    name = "backwards"

    def mix(self, images, labels, counts, generator):
        images, labels = images.flip(0), labels.flip(0)
        return Mixed(images=images, labels_a=labels, labels_b=labels, lam=torch.ones(len(labels)))


MINE = {
    kind.name: kind for kind in (Constant, Whole, Spy, Slow, Keys, Both, Twins, Backwards, *(type(one) for one in OWN))
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.world.TECHNIQUES", (*TECHNIQUES, *MINE.values()))
    Spy.terms.clear()
    Spy.steps.clear()


def with_views(technique: Auxiliary) -> dict[str, object]:
    """Return the part of a segment, with crop and flip as every view that is not the training's."""
    crop: Spec = World().spec(CropFlip(padding=1))
    return {"auxiliary": technique} | (
        {} if technique.views == ("",) else {"views": [crop if view else None for view in technique.views]}
    )


def label(technique: object) -> str:
    return technique.label


# --- the objective ------------------------------------------------------------------------------------------------------


def losses(tmp_path: Path, **segment: object) -> list[float]:
    context, job = context_of(tmp_path), fit_job(plain(**segment), model=Net(dropout=0))
    fit(job, context)
    return context.store.meta(job.key)["curve"]["loss"]


@pytest.mark.parametrize("more", [{}, {"weight": Inverse()}], ids=["alone", "beside a weight"])
def test_the_weighted_term_is_added_to_the_loss(tmp_path: Path, more: dict[str, object]) -> None:
    without = losses(tmp_path / "0", **more)
    added = losses(tmp_path / "1", auxiliary=Constant(weight=0.5), **more)
    assert added == pytest.approx([loss + 2.5 for loss in without], rel=1e-5)


def test_it_may_take_the_place_of_the_loss(tmp_path: Path) -> None:
    assert losses(tmp_path, auxiliary=Whole(weight=0.5)) == pytest.approx([2.5] * 4)


# --- what it gets -------------------------------------------------------------------------------------------------------


def test_it_gets_unmixed_views_with_their_labels(tmp_path: Path) -> None:
    for name, mix in (("0", None), ("1", Backwards()), ("2", Mixup())):
        losses(tmp_path / name, mix=mix, **with_views(Spy()))
    plain_terms, backwards, mixed = (Spy.terms[start : start + 28] for start in (0, 28, 56))
    for first, other, third in zip(plain_terms, backwards, mixed, strict=True):
        assert torch.equal(first[0], other[0])
        assert torch.equal(first[0], third[0])
    # In the first step the network is the same, and only batch statistics differ: images stay nearest to themselves.
    own, flipped = plain_terms[0][1][0][0], backwards[0][1][0][0]
    distances = torch.cdist(own, flipped)
    assert distances.diagonal().max() < distances.flip(0).diagonal().min()


def test_a_view_of_the_moving_average_alone_changes_no_batch_statistics(tmp_path: Path) -> None:
    without = losses(tmp_path / "0")
    assert losses(tmp_path / "1", **with_views(Keys())) == pytest.approx([loss + 5 for loss in without], rel=1e-6)
    assert losses(tmp_path / "2", **with_views(Both())) != pytest.approx([loss + 5 for loss in without], rel=1e-4)


def test_the_moving_average_has_the_same_views(tmp_path: Path) -> None:
    assert len(losses(tmp_path, **with_views(Twins()))) == 4


def test_after_a_step_it_gets_the_views_of_its_term(tmp_path: Path) -> None:
    losses(tmp_path, mix=Backwards(), **with_views(Spy()))
    assert len(Spy.terms) == len(Spy.steps) == 28
    for term, step in zip(Spy.terms, Spy.steps, strict=True):
        assert torch.equal(term[0], step[0])
        assert all(map(torch.equal, term[1], step[1]))
        assert all(map(torch.equal, term[2], step[2])), "the moving average follows after that"
    assert not torch.equal(Spy.terms[0][2][0], Spy.terms[1][2][0])


def test_views_are_read_from_the_images_of_the_batch(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    job = fit_job(plain(augment=None, auxiliary=Spy(), views=[None, None]))
    training = training_of(job, context)
    training._start_segment(0, resumed=False)
    batch = Feed.next(training.feed, None)
    assert batch.views == (None, None)
    assert batch.passed == len(batch.labels)
    assert torch.equal(batch.labels, batch.labels_a)


@pytest.mark.parametrize(
    ("segment", "factor"),
    [({}, 1), ({"auxiliary": Lade()}, 1), ({"auxiliary": Lade(), "mix": Mixup()}, 2), (with_views(Supcon()), 3)],
    ids=["none", "one view", "one view beside a mix", "two further views"],
)
def test_samples_count_every_view(tmp_path: Path, segment: dict[str, object], factor: int) -> None:
    context, job = context_of(tmp_path), fit_job(plain(**segment))
    fit(job, context)
    assert context.store.meta(job.key)["cost"]["samples"] == factor * 28 * 8


# --- trainings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("technique", OWN, ids=label)
def test_a_training_with_it_learns(tmp_path: Path, technique: Auxiliary) -> None:
    job = fit_job(plain(**with_views(technique)), recipe={"epochs": 12})
    context = context_of(tmp_path)
    fit(job, context)
    curve = context.store.meta(job.key)["curve"]
    assert max(curve["accuracy"][-3:]) > 0.7 > curve["accuracy"][0]
    assert curve["loss"][-1] < 0.9 * curve["loss"][0]
    assert not same(weights(context, job), trained(context, fit_job(recipe={"epochs": 12})))


@pytest.mark.parametrize("technique", OWN, ids=label)
def test_half_and_half_is_the_whole(tmp_path: Path, technique: Auxiliary) -> None:
    segment = with_views(technique)
    assert_resumes(tmp_path, fit_job(plain(0.4, **segment)), fit_job(plain(**segment)))


@pytest.mark.parametrize("technique", [Supcon(one_view=True), Paco(queue=20), Proco(hidden=7)], ids=label)
def test_a_second_half_with_it_continues_the_plain_first_half(tmp_path: Path, technique: Auxiliary) -> None:
    first = plain(0.5)
    assert_resumes(tmp_path, fit_job(first), fit_job(first, plain(**with_views(technique))))


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("technique", [Paco(queue=20), Slow()], ids=label)
def test_a_training_resumed_at_a_random_step_is_bit_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, technique: Auxiliary, ema: float | None
) -> None:
    at = random.Random(f"{technique.label} {ema}").randrange(1, 24)
    job = fit_job(plain(**with_views(technique)), recipe={"ema": ema})
    context = msgspec.structs.replace(context_of(tmp_path / "parts"), snapshot_seconds=0.0)
    fit_with_accident(job, context, monkeypatch, at, later=2)
    assert same(weights(context, job), trained(context_of(tmp_path / "whole"), job))


@pytest.mark.parametrize("technique", [Supcon(one_view=True), Lade(), Slow()], ids=label)
def test_a_frozen_backbone_with_fixed_images_trains_with_it(tmp_path: Path, technique: Auxiliary) -> None:
    first, second = plain(0.5), plain(trainable="classifier", augment=None)
    context = context_of(tmp_path)
    before, after, without = (
        trained(context, fit_job(*segments))
        for segments in ((plain(0.5),), (first, second | {"auxiliary": technique}), (first, second))
    )
    assert torch.equal(before["features.0.weight"], after["features.0.weight"])
    changed = not torch.equal(after["head.weight"], without["head.weight"])
    assert changed == (technique.name != "supcon")  # of the features alone, so it trains its projection


def test_what_it_learns_and_remembers_is_no_part_of_the_stored_network(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    with_it = trained(context, fit_job(plain(**with_views(Paco(queue=20))), recipe={"ema": 0.9}))
    assert with_it.keys() == trained(context, fit_job()).keys()
