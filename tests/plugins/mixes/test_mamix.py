from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.checks import generator

from ltbench.testing import checks
from ltbench_plugins.mixes.mamix import Mamix
from ltbench_plugins.mixes.mixup import Mixup

test_it_conforms = checks(Mamix(omega=1, per_batch=True))


@pytest.mark.parametrize(
    ("lam", "weight"),
    # Counts 1 and 81: margins 1 and 81 ** -0.25 = 1/3, so the labels are equal where the rare image has a share of 1/4.
    [(0.0, 0.0), (0.125, 0.25), (0.25, 0.5), (0.5, 2 / 3), (0.625, 0.75), (1.0, 1.0)],
)
def test_by_hand(lam: float, weight: float) -> None:
    rare, frequent = torch.tensor([1.0]), torch.tensor([81.0])
    share = torch.tensor([lam])
    assert Mamix().label_shares(share, rare, frequent).tolist() == pytest.approx([weight])
    # The same pair from the other side.
    assert Mamix().label_shares(1 - share, frequent, rare).tolist() == pytest.approx([1 - weight], abs=1e-6)


def test_a_whole_image_keeps_its_label_whatever_the_margins() -> None:
    whole = torch.tensor([0.0, 1.0])
    for own, other in ((5000.0, 1.0), (1.0, 5000.0)):
        shares = Mamix(omega=30).label_shares(whole, torch.tensor([own]), torch.tensor([other]))
        assert shares.tolist() == [0.0, 1.0]


def reference(other_share: float, own: float, other: float) -> float:
    """Return the weight of the own label by the piecewise line in the share of the other image."""
    middle = own**-0.25 / (own**-0.25 + other**-0.25)
    points = [0, middle, 1]
    return float(np.interp(other_share, points, [1, 0.5, 0]))


def test_images_are_blended_as_by_mixup_and_labels_follow_the_margins() -> None:
    counts = torch.tensor([500, 60, 7, 0])
    images, labels = torch.randn(120, 3, 4, 4, generator=generator()), torch.arange(120) % 3
    mixed = Mamix().mix(images, labels, counts, generator(1))
    plain = Mixup(alpha=1).mix(images, labels, counts, generator(1))
    assert torch.equal(mixed.images, plain.images)
    rows = zip(plain.lam.tolist(), counts[labels].tolist(), counts[plain.labels_b].tolist(), strict=True)
    expected = [reference(1 - lam, own, other) for lam, own, other in rows]
    assert mixed.lam.tolist() == pytest.approx(expected, abs=1e-5)


def test_equal_counts_or_no_power_are_mixup() -> None:
    lam = torch.linspace(0, 1, 11)
    for mix, other in ((Mamix(), 40.0), (Mamix(omega=0), 2.0)):
        found = mix.label_shares(lam, torch.full((11,), 40.0), torch.full((11,), other))
        torch.testing.assert_close(found, lam)
