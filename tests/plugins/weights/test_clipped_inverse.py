from __future__ import annotations

import pytest
import torch

from ltbench.errors import ParameterError
from ltbench_plugins.weights.clipped_inverse import ClippedInverse


def test_by_hand() -> None:
    # N = 1600, C = 16, limits 1 and 16 ** 0.25 = 2: N / (n C) = 100 / n.
    counts = torch.tensor([1000, 100, 80, 40, *[31] * 8, *[33] * 4])
    weights = ClippedInverse().weights(counts).tolist()
    assert weights[:4] == pytest.approx([1, 1, 1.25, 2])
    assert weights[4:] == [2] * 12


def test_the_upper_limit_is_the_fourth_root_of_the_classes() -> None:
    # CIFAR-10 at imbalance factor 100: 12,406 images, the rarest class 12406 / (50 * 10) = 24.8 before the limit.
    counts = torch.tensor([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
    weights = ClippedInverse().weights(counts).tolist()
    assert weights[:3] == [1, 1, 1]
    assert weights[3] == pytest.approx(1.1519, abs=1e-4)  # 12406 / 10770
    assert weights[4:] == pytest.approx([10**0.25] * 6)


def test_balanced_classes_weigh_one() -> None:
    assert ClippedInverse().weights(torch.tensor([30, 30])).tolist() == [1, 1]


def test_power_zero_is_no_weight() -> None:
    assert ClippedInverse(power=0).weights(torch.tensor([300, 3])).tolist() == [1, 1]


def test_the_loss_is_averaged_over_the_batch_as_in_equation_4() -> None:
    weight = ClippedInverse()
    assert weight.normalize == "none"
    assert float(weight.reduce(torch.tensor([1.0, 5.0]), torch.tensor([1.0, 1.5]))) == 3


def test_a_scale_that_a_weighted_mean_would_cancel_is_refused() -> None:
    ClippedInverse(reduction="weighted_mean")
    with pytest.raises(ParameterError, match="not both"):
        ClippedInverse(normalize="mean_one", reduction="weighted_mean")
