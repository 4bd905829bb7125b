from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.experts import COUNTS, LABELS, LOGITS, cross_entropy, log_softmax, loss_of, moment, outputs

from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.influence_balanced import InfluenceBalanced

FEATURES = np.array([[[1.0, -2.0], [0.5, 0.5]], [[3.0, 1.0], [0.0, -1.0]], [[2.0, 2.0], [-1.0, 4.0]]])
NORMS = np.abs(FEATURES).sum(2)


def expected(alpha: float) -> np.ndarray:
    target = np.eye(3)[LABELS]
    losses = []
    for logits, norms in zip(LOGITS, NORMS, strict=True):
        error = np.abs(np.exp(log_softmax(logits)) - target).sum(1)
        losses.append(alpha * cross_entropy(logits) / (error * norms + 0.001))
    return np.mean(losses, axis=0)


def test_the_loss_is_divided_by_errors_times_features() -> None:
    assert loss_of(InfluenceBalanced(), LOGITS, 0.5, features=FEATURES) == pytest.approx(expected(1000))
    assert loss_of(InfluenceBalanced(alpha=2), LOGITS, 0.9, features=FEATURES) == pytest.approx(expected(2))


def test_before_the_second_part_it_is_cross_entropy() -> None:
    plain = loss_of(CrossEntropy(), LOGITS)
    assert loss_of(InfluenceBalanced(), LOGITS, 0.49, features=FEATURES) == pytest.approx(plain)
    assert loss_of(InfluenceBalanced(start=0), LOGITS, 0.0, features=FEATURES) != pytest.approx(plain)


def test_the_product_is_the_norm_of_the_gradient_of_the_classifier() -> None:
    layer = torch.nn.Linear(2, 3, bias=False, dtype=torch.float64)
    features = torch.tensor([[1.5, -0.5]], dtype=torch.float64)
    logits = layer(features)
    torch.nn.functional.cross_entropy(logits, torch.tensor([1])).backward()
    influence = float(layer.weight.grad.abs().sum())
    one = outputs(logits.detach()[None], features[None].numpy())
    weighted = InfluenceBalanced(start=0).of(one, torch.tensor([1]), torch.tensor(COUNTS), moment())
    plain = CrossEntropy().of(one, torch.tensor([1]), torch.tensor(COUNTS), moment())
    assert float(weighted / plain) == pytest.approx(1000 / (influence + 0.001))


def test_a_sample_that_is_surely_right_has_a_finite_loss() -> None:
    sure = outputs(np.array([[[0.0, 1000.0, 0.0]]]), np.ones((1, 1, 2)))
    assert float(InfluenceBalanced(start=0).of(sure, torch.tensor([1]), torch.tensor(COUNTS), moment())) == 0


def test_gradients_flow_through_the_divisor() -> None:
    logits, features = torch.tensor(LOGITS[:1]), torch.tensor(FEATURES[:1], requires_grad=True)
    loss = InfluenceBalanced(alpha=2).of(
        outputs(logits, features), torch.tensor(LABELS), torch.tensor(COUNTS), moment(0.5)
    )
    loss.sum().backward()
    # By hand, of 2 CE / (e |h| + 0.001) by h: -2 CE e sign(h) / (e |h| + 0.001) ** 2.
    error = np.abs(np.exp(log_softmax(LOGITS[0])) - np.eye(3)[LABELS]).sum(1)
    slope = -2 * cross_entropy(LOGITS[0]) * error / (error * NORMS[0] + 0.001) ** 2
    np.testing.assert_allclose(features.grad[0].numpy(), slope[:, None] * np.sign(FEATURES[0]))
