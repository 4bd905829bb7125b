from __future__ import annotations

import math

import pytest
import torch
from plugins.auxiliaries.outputs import NOW, contrast, features, of_class, term_of, unit, views_of

from ltbench_plugins.auxiliaries.supcon import Supcon

COUNTS = torch.tensor([30, 10, 3])


def term(*views: torch.Tensor, labels: list[int], **parameters: object) -> float:
    technique = Supcon(one_view=len(views) == 1, **parameters)
    return term_of(technique, views_of(*views), labels, COUNTS)


def test_by_hand() -> None:
    # Three images at right angles but for the first two, which are equal: -log(e / (e + 1)) each; the third has no positive.
    rows = torch.tensor([[1.0, 0, 0], [2, 0, 0], [0, 3, 0]])
    assert term(rows, labels=[0, 0, 1], temperature=1) == pytest.approx(math.log1p(math.exp(-1)))


def test_equation_2_on_two_views_of_a_batch() -> None:
    labels = [0, 1, 0, 2, 0]
    first, second = features(5, seed=1), features(5, seed=2)
    wanted = contrast(unit(torch.cat([first, second])), of_class(labels * 2), 0.1)
    assert term(first, second, labels=labels) == pytest.approx(wanted, rel=1e-5)


def test_the_sum_over_positives_is_outside_the_logarithm() -> None:
    labels = [0, 0, 0, 1, 1, 2]
    rows = unit(features(6))
    inside = []
    for i, mine in enumerate(of_class(labels)):
        if mine:
            shares = [math.exp(rows[i] @ rows[p] / 0.1) for p in mine]
            total = sum(math.exp(rows[i] @ rows[a] / 0.1) for a in range(6) if a != i)
            inside.append(-math.log(sum(shares) / len(shares) / total))
    outside = term(features(6), labels=labels)
    assert outside == pytest.approx(contrast(rows, of_class(labels), 0.1), rel=1e-5)
    assert outside > sum(inside) / len(inside) + 0.1


def test_one_positive_for_each_view_is_info_nce() -> None:
    first, second = features(4, seed=1), features(4, seed=2)
    rows = torch.nn.functional.normalize(torch.cat([first, second]), dim=1)
    logits = (rows @ rows.T / 0.1).fill_diagonal_(-math.inf)
    info_nce = torch.nn.functional.cross_entropy(logits, (torch.arange(8) + 4) % 8)
    assert term(first, second, labels=[0, 1, 2, 3]) == pytest.approx(float(info_nce), rel=1e-5)


def test_images_without_a_positive_add_nothing() -> None:
    view = features(3).requires_grad_()
    loss = Supcon(one_view=True).term(views_of(view), torch.tensor([0, 1, 2]), COUNTS, NOW)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not view.grad.any()


def test_with_branches_it_is_the_mean_over_them() -> None:
    one, other = features(3, seed=1), features(3, seed=2)
    both = term(torch.stack([one, other]), labels=[0, 0, 1])
    assert both == pytest.approx((term(one, labels=[0, 0, 1]) + term(other, labels=[0, 0, 1])) / 2)


def test_the_projection_is_learnt() -> None:
    own = Supcon(dimension=9).learns(4, 3, COUNTS)
    assert own(features(5)).shape == (5, 9)
    assert [tuple(p.shape) for p in own.parameters()] == [(4, 4), (4,), (9, 4), (9,)]
