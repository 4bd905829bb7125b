from __future__ import annotations

import pytest
import scipy.stats
import torch
from plugins.checks import assert_distributed, generator

from ltbench import Moment, Partner, Told
from ltbench.testing import checks
from ltbench_plugins.mixes.unimix import Unimix

test_it_conforms = checks(Unimix(tau=-1, alpha=2.0), Unimix(per_batch=True), Unimix(tau=-0.1))


@pytest.mark.parametrize(
    ("drawn", "own", "other", "share"),
    # The ratio n_j / (n_i + n_j) is 0.9 for the rare image and 0.1 for the frequent one.
    [(0.05, 10, 90, 0.95), (0.3, 10, 90, 0.2), (0.05, 90, 10, 0.15), (0.95, 90, 10, 0.05), (0.25, 7, 7, 0.75)],
)
def test_the_share_by_hand(drawn: float, own: int, other: int, share: float) -> None:
    arguments = (torch.tensor([float(value)]) for value in (drawn, own, other))
    assert Unimix().image_shares(*arguments).tolist() == pytest.approx([share])


def test_images_and_labels_have_the_same_share() -> None:
    # Pixels are the labels, so a blend shows its own share.
    counts, labels = torch.tensor([900, 100]), torch.arange(400) % 2
    images = labels.float()[:, None, None, None].expand(-1, 1, 2, 2)
    mixed = Unimix(alpha=0.1).mix(images, labels, counts, generator())
    expected = mixed.lam * mixed.labels_a + (1 - mixed.lam) * mixed.labels_b
    torch.testing.assert_close(mixed.images[:, 0, 0, 0], expected)
    pairs = mixed.labels_a != mixed.labels_b
    rare, frequent = (mixed.lam[pairs & (mixed.labels_a == label)].mean() for label in (1, 0))
    assert rare > 0.75 > 0.25 > frequent


def test_partners_come_from_a_reversed_stream() -> None:
    assert Unimix().partner == "reverse"
    assert Unimix(tau=-0.1).partner == ""
    counts = torch.tensor([900, 100])
    other = Partner(images=torch.ones(200, 1, 2, 2), labels=torch.ones(200, dtype=torch.int64))
    told = Told(indices=torch.arange(200), labels=torch.zeros(200, dtype=torch.int64), counts=counts, partner=other,
                moment=Moment(epoch=0, epochs=1.0, step=0, steps=1))  # fmt: skip
    mixed = Unimix(alpha=0.1).blend(torch.zeros(200, 1, 2, 2), told, generator())
    torch.testing.assert_close(mixed.images[:, 0, 0, 0], 1 - mixed.lam)
    assert mixed.labels_b.tolist() == [1] * 200
    # By hand: a frequent image keeps a share around 100 / 1000 of a blend with a rare one.
    assert float(mixed.lam.median()) == pytest.approx(0.1, abs=0.03)


def test_partners_are_drawn_by_the_power_of_their_class_count() -> None:
    # Counts 8100 and 100 in a batch of 90 and 10: 90 * 8100 ** -0.5 = 1 and 10 * 100 ** -0.5 = 1.
    labels, counts = torch.tensor([0] * 90 + [1] * 10), torch.tensor([8100, 100])
    stream, seen = generator(), torch.zeros(2)
    for _ in range(60):
        partner = Unimix(tau=-0.5).partners(labels, counts, stream)
        assert len(partner) == 100
        seen += labels[partner].bincount(minlength=2)
    assert_distributed(seen, [1, 1])


def test_of_balanced_classes_a_uniform_draw_stays_uniform() -> None:
    # As in mixup with alpha = 1.
    labels = torch.arange(3000) % 3
    mixed = Unimix(alpha=1, tau=0).mix(torch.zeros(3000, 1, 1, 1), labels, torch.full((3,), 50), generator())
    assert scipy.stats.kstest(mixed.lam.numpy(), "uniform").pvalue > 1e-3
    assert_distributed(mixed.labels_b.bincount(), [1, 1, 1])
