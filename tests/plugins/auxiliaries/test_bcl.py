from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plugins.auxiliaries.outputs import features, of_class, term_of, unit, views_of
from torch import nn

from ltbench_plugins.auxiliaries._modules import CentredProjector
from ltbench_plugins.auxiliaries.bcl import Bcl

COUNTS = torch.tensor([30, 10, 3])
CENTRES = features(3, seed=9)


class Own(nn.Identity):
    """Projects nothing, and has fixed centres."""

    def centres(self, layers: object) -> torch.Tensor:
        return nn.functional.normalize(CENTRES, dim=1)[None]


def views(*parts: torch.Tensor) -> list:
    return views_of(*parts, own=Own())


def wanted(
    parts: tuple[torch.Tensor, ...], labels: list[int], *, average: bool = True, complement: bool = True
) -> float:
    rows, classes = unit(torch.cat(parts)), labels * 2
    if complement:
        rows, classes = np.concatenate([rows, unit(CENTRES)]), [*classes, 0, 1, 2]
    losses = []
    for i in range(2 * len(labels)):
        total = 0.0
        for c in range(3):
            members = [k for k in range(len(rows)) if classes[k] == c and k != i]
            total += sum(math.exp(rows[i] @ rows[k] / 0.1) for k in members) / (len(members) if average else 1)
        losses.append(np.mean([-math.log(math.exp(rows[i] @ rows[p] / 0.1) / total) for p in of_class(classes)[i]]))
    return float(np.mean(losses))


@pytest.mark.parametrize("labels", [[0, 0, 0, 0, 1, 2], [0, 0, 0, 1, 1, 1]])  # also a class that the batch lacks
def test_by_the_equation(labels: list[int]) -> None:
    parts = features(6, seed=1), features(6, seed=2)
    got = term_of(Bcl(), views(*parts), labels, COUNTS)
    assert got == pytest.approx(wanted(parts, labels), rel=1e-5)
    for without in ({"average": False}, {"complement": False}):
        if labels[-1] == 2:
            assert got != pytest.approx(wanted(parts, labels, **without), rel=1e-2)


def test_centres_are_projections_of_the_classifier() -> None:
    own = CentredProjector(4, 6, 5)
    classifier = nn.Linear(4, 3)
    centres = own.centres([classifier, nn.Linear(4, 3)])
    assert centres.shape == (2, 3, 6)
    assert torch.allclose(centres.norm(dim=2), torch.ones(2, 3))
    centres[0, :, 0].sum().backward()
    assert classifier.weight.grad.any()


def test_gradients_reach_classifier_and_projections() -> None:
    technique = Bcl(hidden=5, dimension=8)
    own = technique.learns(4, 3, COUNTS)
    of = views_of(features(4, seed=1), features(4, seed=2), own=own)
    technique.term(of, torch.tensor([0, 0, 1, 2]), COUNTS, None).backward()
    assert of[0].layers[0].weight.grad.any()
    assert all(parameter.grad is not None for parameter in own.parameters())
