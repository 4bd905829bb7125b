from __future__ import annotations

import pytest
import torch
from plugins.experts import moment, outputs

from ltbench_plugins.heads.etf import Etf
from ltbench_plugins.losses.dot_regression import DotRegression

COUNTS = torch.tensor([9, 3])


def loss(technique: DotRegression, features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the losses of two images of class 0 and 1."""
    layer = torch.nn.Linear(2, 2, bias=False)
    layer.weight = torch.nn.Parameter(weight)
    one = outputs(torch.zeros(1, 2, 2))
    one = type(one)(logits=one.logits, branches=one.branches, features=features, layers=(layer,))
    return technique.of(one, torch.tensor([0, 1]), COUNTS, moment())


WEIGHT = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
FEATURES = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])
"""Cosines with the weights of classes 0 and 1: 3/5 and 0."""


def test_it_is_the_squared_distance_of_the_cosine_from_one() -> None:
    assert loss(DotRegression(), FEATURES, WEIGHT).tolist() == pytest.approx([0.4**2 / 2, 1 / 2])
    # Lengths of features and weights have no effect.
    assert loss(DotRegression(), 7 * FEATURES, 3 * WEIGHT).tolist() == pytest.approx([0.4**2 / 2, 1 / 2])


def test_in_the_code_of_the_authors_features_keep_their_length() -> None:
    # (3 - 5)^2 / 10 and (0 - 2)^2 / 4.
    assert loss(DotRegression(length="own"), FEATURES, WEIGHT).tolist() == pytest.approx([0.4, 1.0])
    features = FEATURES.clone().requires_grad_()
    loss(DotRegression(length="own"), features, WEIGHT).sum().backward()
    # Without the gradient of |h|: (w h - |h|) w / |h| = (3 - 5) / 5 (1, 0) and (0 - 2) / 2 (-1, 0).
    torch.testing.assert_close(features.grad, torch.tensor([[[-0.4, 0.0], [1.0, 0.0]]]))


def test_features_on_the_vertices_of_the_simplex_have_no_loss() -> None:
    layer = Etf().build(6, 4, COUNTS)
    features = (5 * layer.weight)[None]
    one = outputs(layer(features[0])[None])
    one = type(one)(logits=one.logits, branches=one.branches, features=features, layers=(layer,))
    for technique in (DotRegression(), DotRegression(length="own")):
        assert technique.of(one, torch.arange(4), COUNTS, moment()).tolist() == pytest.approx([0] * 4, abs=1e-10)
