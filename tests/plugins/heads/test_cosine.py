from __future__ import annotations

import pytest
import torch

from ltbench_plugins.heads.cosine import Cosine
from ltbench_plugins.losses.ldam import Ldam

COUNTS = torch.tensor([16, 1])
FEATURES = torch.tensor([[3.0, 4.0]])


def layer(**params: object) -> torch.nn.Module:
    head = Cosine(**params).build(2, 2, COUNTS)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[10.0, 0.0], [0.0, 0.1]]))  # norms have no effect
    return head


def test_logits_are_the_scaled_cosines() -> None:
    # The features have the direction (0.6, 0.8), whatever their norm.
    torch.testing.assert_close(layer(scale=10.0)(FEATURES), torch.tensor([[6.0, 8.0]]))
    torch.testing.assert_close(layer()(7 * FEATURES), torch.tensor([[0.6, 0.8]]))


def test_only_a_learnt_scale_is_a_parameter() -> None:
    assert [name for name, _ in layer(scale=16.0).named_parameters()] == ["weight"]
    learnt = layer(scale=16.0, learn=True)
    assert sorted(name for name, _ in learnt.named_parameters()) == ["scale", "weight"]
    learnt(FEATURES).sum().backward()
    assert float(learnt.scale.grad) == pytest.approx(0.6 + 0.8)


def test_with_ldam_the_margin_is_inside_the_scale() -> None:
    # Margins 0.5 * (1 / 16) ** (1 / 4) = 0.25 for the first class and 0.5 for the second.
    losses = Ldam(max_margin=0.5, scale=30.0).per_sample(layer()(FEATURES), torch.tensor([0]), COUNTS)
    first, second = 30 * (0.6 - 0.25), 30 * 0.8
    expected = torch.tensor([second - first]).exp().log1p()
    torch.testing.assert_close(losses, expected)


def test_the_norm_of_the_features_gets_no_gradient() -> None:
    features = FEATURES.clone().requires_grad_()
    layer(scale=5.0)(features)[0, 0].backward()
    assert float((features.grad * features).sum().detach()) == pytest.approx(0, abs=1e-6)
