from __future__ import annotations

import pytest
import torch
from plugins.checks import both_sizes, long_tail

from ltbench.errors import ParameterError
from ltbench_plugins.weights.ins import Ins


def test_by_hand() -> None:
    counts = torch.tensor([4, 1])  # 1/4 and 1; their mean is 5/8, their sum 5/4
    assert Ins(normalize="none").weights(counts).tolist() == [0.25, 1]
    assert Ins().weights(counts).tolist() == pytest.approx([0.4, 1.6])
    assert Ins(normalize="sum_one").weights(counts).tolist() == pytest.approx([0.2, 0.8])


@both_sizes
def test_mean_one_sums_to_the_number_of_classes(classes: int) -> None:
    assert float(Ins().weights(long_tail(classes)).sum()) == pytest.approx(classes, rel=1e-5)


def test_every_class_has_the_same_total_weight() -> None:
    counts = long_tail(20)
    totals = counts * Ins().weights(counts)
    torch.testing.assert_close(totals, totals[:1].expand(20))


def test_balanced_classes_weigh_one() -> None:
    assert Ins().weights(torch.tensor([30, 30, 30])).tolist() == [1, 1, 1]


def test_the_plain_mean_divides_by_the_batch_and_the_weighted_mean_by_the_weights() -> None:
    weighted, weights = torch.tensor([1.0, 6.0]), torch.tensor([0.5, 1.5])
    assert float(Ins().reduce(weighted, weights)) == 3.5
    assert float(Ins(reduction="weighted_mean").reduce(weighted, weights)) == 3.5  # 7 / 2
    assert float(Ins().reduce(weighted[:1], weights[:1])) == 1
    assert float(Ins(reduction="weighted_mean").reduce(weighted[:1], weights[:1])) == 2


def test_the_weighted_mean_is_torchs_weighted_cross_entropy() -> None:
    counts = long_tail(5)
    weight = Ins(reduction="weighted_mean")
    table = weight.weights(counts)
    logits, labels = torch.randn(16, 5, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 5
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    expected = torch.nn.functional.cross_entropy(logits, labels, weight=table)
    torch.testing.assert_close(weight.reduce(losses * table[labels], table[labels]), expected)


def test_a_scale_that_a_weighted_mean_would_cancel_is_refused() -> None:
    with pytest.raises(ParameterError, match="not both"):
        Ins(normalize="sum_one", reduction="weighted_mean")
