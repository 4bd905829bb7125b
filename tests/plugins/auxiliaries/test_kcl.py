from __future__ import annotations

import pytest
import torch
from plugins.auxiliaries.outputs import NOW, contrast, features, of_class, unit, views_of

from ltbench import Moment
from ltbench_plugins.auxiliaries._contrast import random_positives
from ltbench_plugins.auxiliaries.kcl import Kcl
from ltbench_plugins.auxiliaries.supcon import Supcon

COUNTS = torch.tensor([30, 10, 3])
SEED = {"seed": torch.tensor(5)}
LABELS = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
FIRST, SECOND = features(8, seed=1), features(8, seed=2)


def test_with_all_positives_it_is_supcon() -> None:
    views = views_of(FIRST, SECOND, state=SEED)
    few = Kcl(k=100, temperature=0.1).term(views, LABELS, COUNTS, NOW)
    assert torch.equal(few, Supcon().term(views, LABELS, COUNTS, NOW))


def test_the_mean_over_the_drawn_positives_by_the_equation() -> None:
    technique = Kcl(k=2)
    siblings = torch.eye(8, dtype=torch.bool).roll(0).repeat(2, 2) & ~torch.eye(16, dtype=torch.bool)
    same = torch.zeros(16, 16, dtype=torch.bool)
    for i, mine in enumerate(of_class(LABELS.tolist() * 2)):
        same[i, mine] = True
    drawn = random_positives(same & ~siblings, 2, SEED["seed"], NOW)
    positives = [row.nonzero()[:, 0].tolist() for row in drawn | siblings]
    assert [len(mine) for mine in positives] == [3] * 7 + [1] + [3] * 7 + [
        1
    ]  # k and the other view; the rare image is alone
    wanted = contrast(unit(torch.cat([FIRST, SECOND])), positives, 0.07)
    assert wanted != pytest.approx(
        contrast(unit(torch.cat([FIRST, SECOND])), of_class(LABELS.tolist() * 2), 0.07), rel=1e-2
    )
    got = technique.term(views_of(FIRST, SECOND, state=SEED), LABELS, COUNTS, NOW)
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_positives_are_drawn_uniformly_anew_in_each_step() -> None:
    positives = ~torch.eye(6, dtype=torch.bool)
    times = torch.zeros(6, 6)
    for step in range(600):
        drawn = random_positives(positives, 2, torch.tensor(7), Moment(epoch=0, epochs=1, step=step, steps=600))
        assert drawn.sum(1).tolist() == [2] * 6
        times += drawn
    assert not times.diagonal().any()
    assert times[positives].min() > 190  # of 240 expected: four standard deviations
    assert times[positives].max() < 290


def test_draws_depend_on_seed_and_step_alone() -> None:
    positives = ~torch.eye(20, dtype=torch.bool)
    first = random_positives(positives, 3, torch.tensor(7), NOW)
    assert torch.equal(first, random_positives(positives, 3, torch.tensor(7), NOW))
    assert not torch.equal(first, random_positives(positives, 3, torch.tensor(8), NOW))
