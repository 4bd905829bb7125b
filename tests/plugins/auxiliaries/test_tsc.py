from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from plugins.auxiliaries.outputs import NOW, features, term_of, unit, views_of
from torch import nn

from ltbench import Outputs
from ltbench_plugins.auxiliaries._contrast import random_positives
from ltbench_plugins.auxiliaries._modules import spread
from ltbench_plugins.auxiliaries.kcl import Kcl
from ltbench_plugins.auxiliaries.tsc import Tsc

COUNTS = torch.tensor([30, 10, 3])
LABELS = torch.tensor([0, 0, 0, 1, 2])
FIRST, SECOND = features(5, seed=1), features(5, seed=2)
TARGETS = torch.eye(4)[:3]


class Own(nn.Identity):
    targets = TARGETS


def state(target: tuple[int, ...] = (2, 0, 1)) -> dict[str, torch.Tensor]:
    return {"seed": torch.tensor(5), "centres": torch.eye(4)[:3], "target": torch.tensor(target)}


@pytest.mark.parametrize("strength", [0.0, 1.0, 2.5])
def test_by_the_equation(strength: float) -> None:
    rows, targets, labels = unit(torch.cat([FIRST, SECOND])), unit(TARGETS), LABELS.tolist() * 2
    eye = torch.eye(10, dtype=torch.bool)
    siblings = torch.eye(5, dtype=torch.bool).repeat(2, 2) & ~eye
    same = (torch.tensor(labels)[:, None] == torch.tensor(labels)) & ~eye
    positives = random_positives(same & ~siblings, 2, torch.tensor(5), NOW) | siblings
    wanted = 0.0
    for i in range(10):
        total = sum(math.exp(rows[i] @ rows[a] / 0.07) for a in range(10) if a != i)
        total += sum(math.exp(rows[i] @ target / 0.07) for target in targets)
        mine = positives[i].nonzero()[:, 0].tolist()
        wanted -= np.mean([math.log(math.exp(rows[i] @ rows[p] / 0.07) / total) for p in mine]) / 10
        target = targets[(2, 0, 1)[labels[i]]]
        wanted -= strength * math.log(math.exp(rows[i] @ target / 0.07) / total) / 10
    views = views_of(FIRST, SECOND, own=Own(), state=state())
    assert term_of(Tsc(k=2, strength=strength), views, LABELS, COUNTS) == pytest.approx(wanted, rel=1e-5)


def test_without_the_targets_it_is_kcl() -> None:
    # Targets opposite to all images have no part in the sums, and no strength.
    class Far(nn.Identity):
        targets = -torch.ones(3, 4)

    rows = [features(5, seed=seed).abs() for seed in (1, 2)]
    views = views_of(*rows, own=Far(), state=state())
    few = term_of(Tsc(k=2, strength=0), views, LABELS, COUNTS)
    assert few == pytest.approx(term_of(Kcl(k=2), views, LABELS, COUNTS), rel=1e-5)


def test_targets_are_a_regular_simplex_where_there_is_room() -> None:
    for classes, dimension in ((3, 2), (10, 128), (129, 128)):
        targets = spread(classes, dimension).double()
        cosines = targets @ targets.T
        assert torch.allclose(cosines.diagonal(), torch.ones(classes, dtype=torch.float64), atol=1e-6)
        assert torch.allclose(
            cosines[~torch.eye(classes, dtype=torch.bool)], torch.tensor(-1 / (classes - 1)).double(), atol=1e-6
        )


def test_more_targets_are_spread_further_than_random_ones() -> None:
    torch.manual_seed(0)
    random = nn.functional.normalize(torch.randn(100, 32), dim=1)
    nearest = [(rows @ rows.T).fill_diagonal_(-1).max() for rows in (spread(100, 32), random)]
    assert nearest[0] < 0.2
    assert nearest[1] > 0.4
    # Twice as many points as dimensions are best at the ends of the axes, at right angles.
    cross = (rows := spread(16, 8)) @ rows.T
    assert float(cross.fill_diagonal_(-1).max()) < 0.1


def after(
    rows: torch.Tensor, labels: list[int], before: dict[str, torch.Tensor], own: nn.Module
) -> dict[str, torch.Tensor]:
    view = views_of(rows, own=own)[0]
    outputs = Outputs(
        logits=view.logits, branches=view.branches, features=view.features, layers=view.layers, own=own, views=(view,)
    )
    with torch.no_grad():
        return dict(Tsc().after_step(outputs, SimpleNamespace(labels_a=torch.tensor(labels)), nn.Identity(), before))


def test_centres_follow_the_batch() -> None:
    rows = torch.tensor([[0.0, 3, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]])
    new = after(rows, [0, 0, 2], state(), Own())
    moved = np.array([0.9, 0.1]) / math.hypot(0.9, 0.1)  # from the first axis towards the second
    assert new["centres"][0].tolist() == pytest.approx([*moved, 0, 0])
    assert new["centres"][1].tolist() == [0, 1, 0, 0]  # no image of this class
    assert new["seed"] == 5


def test_targets_are_assigned_to_the_nearest_centres_overall() -> None:
    class Near(nn.Identity):
        # Target 0 is nearest to both first centres: class 0 gains more by it than class 1 does.
        targets = nn.functional.normalize(torch.tensor([[2.0, 1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, 0]]), dim=1)

    rows = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    new = after(rows, [0, 1, 2], state(), Near())
    assert new["target"].tolist() == [0, 1, 2]
    assert new["target"].dtype == torch.int64
    swapped = after(rows, [0, 1, 2], {**state(), "centres": torch.eye(4)[[2, 1, 0]]}, Near())
    assert swapped["target"].tolist() == [2, 1, 0]
