from __future__ import annotations

import math

import pytest
import torch
from plugins.auxiliaries.outputs import features, term_of, views_of

from ltbench_plugins.auxiliaries.lade import Lade

COUNTS = torch.tensor([60, 30, 10, 0])
PRIOR = [60 / 101, 30 / 101, 10 / 101, 1 / 101]  # a class without images is treated as having one


def term(labels: list[int], **parameters: object) -> tuple[float, torch.Tensor]:
    views = views_of(features(len(labels)), classes=4)
    return term_of(Lade(**parameters), views, labels, COUNTS), views[0].logits.detach().double()


@pytest.mark.parametrize("form", ["paper", "code"])
def test_by_the_equation(form: str) -> None:
    labels = [0, 0, 0, 1, 1, 2]
    got, logits = term(labels, form=form, remine_lambda=0.5)
    wanted = 0.0
    for c in range(4):
        weight_of = (lambda i: 0.25 / PRIOR[labels[i]]) if form == "paper" else (lambda i, c=c: 0.25 / PRIOR[c])
        estimate = math.log(sum(weight_of(i) * math.exp(logits[i, c]) for i in range(6)) / 6)
        mine = [float(logits[i, c]) for i in range(6) if labels[i] == c]
        if mine or form == "code":
            wanted += PRIOR[c] * (-(sum(mine) / len(mine) if mine else 0) + estimate + 0.5 * estimate**2)
    assert got == pytest.approx(wanted, rel=1e-5)


def test_the_square_is_the_regulariser() -> None:
    labels = [0, 0, 1, 2]
    plain, _ = term(labels, remine_lambda=0)
    some, _ = term(labels, remine_lambda=1)
    twice, _ = term(labels, remine_lambda=2)
    assert some > plain + 1e-3
    assert twice - some == pytest.approx(some - plain, rel=1e-4)


def test_a_constant_added_to_all_logits_changes_only_the_square() -> None:
    labels = torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        before = term_of(Lade(remine_lambda=0), views_of(features(4), classes=4), labels, COUNTS)
        shifted = views_of(features(4), classes=4)
        shifted[0].branches.add_(3.0)
        after = term_of(Lade(remine_lambda=0), shifted, labels, COUNTS)
        assert after == pytest.approx(before, abs=1e-5)
        assert term_of(Lade(), shifted, labels, COUNTS) > after + 0.01


def test_density_ratios_of_balanced_data_have_estimates_of_zero() -> None:
    # Of each class one image, and exp(z_ic) = C for its class and 0 for others: the mean of exp(z_c) is 1.
    logits = torch.full((4, 4), -40.0).fill_diagonal_(math.log(4))[None]
    view = views_of(features(4), classes=4)[0]
    view = type(view)(logits=logits[0], branches=logits, features=view.features, layers=view.layers)
    balanced = torch.tensor([5, 5, 5, 5])
    assert term_of(Lade(remine_lambda=9), [view], torch.arange(4), balanced) == pytest.approx(-math.log(4))


def test_with_branches_it_is_the_mean_over_them() -> None:
    both = views_of(torch.stack([features(4, seed=1), features(4, seed=2)]), classes=4)[0]
    labels = torch.tensor([0, 1, 2, 0])

    def of(branches: torch.Tensor) -> float:
        view = type(both)(logits=branches.mean(0), branches=branches, features=both.features, layers=both.layers)
        return term_of(Lade(), [view], labels, COUNTS)

    assert of(both.branches) == pytest.approx((of(both.branches[:1]) + of(both.branches[1:])) / 2)
