from __future__ import annotations

import pytest
import torch

from ltbench.errors import JobFailed
from ltbench_plugins.heads.etf import Etf

COUNTS = torch.tensor([9, 5, 1])


@pytest.mark.parametrize(("classes", "features"), [(2, 1), (3, 2), (10, 9), (10, 64)])
def test_weights_are_a_regular_simplex(classes: int, features: int) -> None:
    weight = Etf().build(features, classes, COUNTS).weight
    expected = torch.full((classes, classes), -1 / (classes - 1)).fill_diagonal_(1.0)
    torch.testing.assert_close(weight @ weight.T, expected, atol=1e-6, rtol=0)


def test_features_are_normalised_and_nothing_learns() -> None:
    head = Etf(scale=4.0).build(5, 3, COUNTS)
    assert not list(head.parameters())
    torch.testing.assert_close(head(7 * head.weight[:1]), torch.tensor([[4.0, -2.0, -2.0]]))


def test_the_orientation_comes_from_the_global_generator() -> None:
    def weight(seed: int) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Etf().build(5, 3, COUNTS).weight

    assert torch.equal(weight(0), weight(0))
    assert not torch.equal(weight(0), weight(1))


def test_too_few_features_are_refused() -> None:
    with pytest.raises(JobFailed, match="needs at least 2 features for 3 classes, and the model has 1"):
        Etf().build(1, 3, COUNTS)
