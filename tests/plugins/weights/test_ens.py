from __future__ import annotations

import pytest
import torch
from plugins.checks import long_tail

from ltbench_plugins.weights.ens import Ens
from ltbench_plugins.weights.ins import Ins

COUNTS = torch.tensor([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
PRINTED = {
    0.99: [0.08, 0.08, 0.08, 0.08, 0.08, 0.08, 0.09, 0.10, 0.14, 0.20],
    0.999: [0.02, 0.02, 0.02, 0.03, 0.04, 0.06, 0.09, 0.14, 0.23, 0.37],
    0.9999: [0.01, 0.01, 0.01, 0.02, 0.03, 0.05, 0.09, 0.14, 0.24, 0.40],
    0.99999: [0.00, 0.01, 0.01, 0.02, 0.03, 0.05, 0.09, 0.14, 0.24, 0.40],
}
"""Report rivadeneira, "Explain your observation": weights for each beta, scaled to sum one, two decimals."""


@pytest.mark.parametrize("beta", PRINTED)
def test_the_weights_that_the_report_prints(beta: float) -> None:
    weights = Ens(beta=beta, normalize="sum_one").weights(COUNTS)
    assert [round(w, 2) for w in weights.tolist()] == PRINTED[beta]  # all forty, none off by rounding


def test_by_hand() -> None:
    # beta = 1/2: (1/2) / (1 - 1/4) = 2/3 of two images, (1/2) / (1/2) = 1 of one.
    assert Ens(beta=0.5, normalize="none").weights(torch.tensor([2, 1])).tolist() == pytest.approx([2 / 3, 1])
    assert Ens(beta=0.5).weights(torch.tensor([2, 1])).tolist() == pytest.approx([0.8, 1.2])


@pytest.mark.parametrize("beta", [0, 0.9, 0.99999])
def test_a_single_image_is_one_effective_image(beta: float) -> None:
    assert Ens(beta=beta, normalize="none").weights(torch.tensor([9, 1]))[1] == 1


def test_beta_zero_is_no_weight() -> None:
    for normalize in ("none", "mean_one"):
        assert Ens(beta=0, normalize=normalize).weights(COUNTS).tolist() == [1] * 10


def test_beta_near_one_is_the_inverse_number_of_images() -> None:
    torch.testing.assert_close(Ens(beta=1 - 1e-10).weights(COUNTS), Ins().weights(COUNTS), rtol=1e-4, atol=0)


def test_the_weights_are_scaled_to_the_number_of_classes_as_by_cui() -> None:
    assert float(Ens().weights(long_tail(100)).sum()) == pytest.approx(100, rel=1e-5)
