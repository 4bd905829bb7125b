from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.checks import generator

from ltbench.testing import checks
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.mixes.remix import Remix

test_it_conforms = checks(Remix(kappa=1), Remix(tau=1, per_batch=True))
COUNTS = torch.tensor([90, 30, 29, 1])


@pytest.mark.parametrize(
    ("lam", "own", "other", "weight"),
    [
        (0.4, 90, 30, 0),  # three times as frequent, and the smaller share
        (0.6, 90, 30, 0.6),  # the frequent class has the larger share
        (0.6, 30, 90, 1),  # the same pair from the other side
        (0.4, 30, 90, 0.4),
        (0.4, 89, 30, 0.4),  # not three times as frequent
        (0.4, 30, 30, 0.4),
        (0.5, 90, 30, 0.5),  # tau itself is not below tau
        (0.0, 90, 30, 0),
        (1.0, 30, 90, 1),
    ],
)
def test_the_three_cases_by_hand(lam: float, own: int, other: int, weight: float) -> None:
    found = Remix().label_shares(torch.tensor([lam]), torch.tensor([own]), torch.tensor([other]))
    assert found.tolist() == pytest.approx([weight])


def test_images_are_blended_as_by_mixup_and_only_labels_are_weighed_otherwise() -> None:
    images, labels = torch.randn(200, 3, 4, 4, generator=generator()), torch.arange(200) % 4
    remix = Remix().mix(images, labels, COUNTS, generator(1))
    plain = Mixup(alpha=1).mix(images, labels, COUNTS, generator(1))
    assert torch.equal(remix.images, plain.images)
    assert torch.equal(remix.labels_b, plain.labels_b)
    share, own, other = (t.numpy() for t in (plain.lam, COUNTS[labels], COUNTS[plain.labels_b]))
    expected = [0 if a / b >= 3 and s < 0.5 else 1 if a / b <= 1 / 3 and 1 - s < 0.5 else s
                for s, a, b in zip(share, own, other, strict=True)]  # fmt: skip
    np.testing.assert_allclose(remix.lam.numpy(), expected)
    assert 0.2 < float((remix.lam != plain.lam).float().mean()) < 0.6


def test_without_a_threshold_it_is_mixup() -> None:
    images, labels = torch.randn(50, 3, 4, 4, generator=generator()), torch.arange(50) % 4
    remix, plain = (mix.mix(images, labels, COUNTS, generator(1)) for mix in (Remix(tau=0), Mixup(alpha=1)))
    assert torch.equal(remix.lam, plain.lam)
    assert Remix(tau=0, kappa=7) == Remix(tau=0)
