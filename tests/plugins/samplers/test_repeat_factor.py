from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import assert_distributed, epoch_of, generator, labels_of

from ltbench.testing import checks
from ltbench_plugins.samplers.repeat_factor import RepeatFactor

test_it_conforms = checks(RepeatFactor(threshold=0.4))


def test_the_factors_by_hand() -> None:
    # Shares 0.9, 0.09 and 0.01, threshold 0.36: sqrt(0.4) is below 1; sqrt(4) and sqrt(36).
    factors = RepeatFactor(threshold=0.36).factors(torch.tensor([900, 90, 10]))
    assert factors.tolist() == pytest.approx([1, 2, 6])


def test_whole_factors_are_visits_of_every_image() -> None:
    indices, labels = epoch_of(RepeatFactor(threshold=0.36), [900, 90, 10])
    visits = indices.bincount(minlength=1000)
    assert [visits[labels == c].unique().tolist() for c in range(3)] == [[1], [2], [6]]


def test_a_fractional_part_is_rounded_up_in_that_share_of_the_epochs() -> None:
    # Shares 0.8 and 0.2, threshold 0.5: sqrt(2.5) = 1.5811, so 20 * 0.5811 = 11.6 visits more, rounded 12.
    sampler, stream = RepeatFactor(threshold=0.5), generator(1)
    labels, visits = labels_of([80, 20]), []
    for _ in range(300):
        epoch = sampler.epoch(torch.arange(100), labels, torch.tensor([80, 20]), 16, stream)
        visits.append(epoch.bincount(minlength=100))
    each = torch.stack(visits)[:, labels == 1]
    assert set(each.unique().tolist()) == {1, 2}
    assert (each.sum(1) == 32).all()
    assert each.float().mean() == pytest.approx(1.6)
    assert_distributed((each - 1).sum(0), [1] * 20)
    assert (torch.stack(visits)[:, labels == 0] == 1).all()


def test_by_default_classes_below_their_balanced_share_are_repeated() -> None:
    counts = torch.tensor([600, 200, 8])
    assert RepeatFactor().factors(counts).tolist() == pytest.approx([1, math.sqrt(808 / 600), math.sqrt(808 / 24)])


def test_a_threshold_below_every_share_is_plain_shuffling() -> None:
    # The authors' 0.001: the rarest class of CIFAR-10-LT at factor 100 has 50 of 12,406 images.
    indices, _ = epoch_of(RepeatFactor(threshold=0.001), [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
    assert indices.sort()[0].tolist() == list(range(12406))


@pytest.mark.parametrize("counts", [[7, 1], [90, 5, 1], [400, 130, 40, 12, 4], [60, 30, 1, 0]])
def test_every_epoch_has_the_length_of_the_rounded_sum(counts: list[int]) -> None:
    sampler, labels, stream = RepeatFactor(), labels_of(counts), generator()
    pool = torch.arange(len(labels))
    lengths = {len(sampler.epoch(pool, labels, torch.tensor(counts), 16, stream)) for _ in range(50)}
    present = [max(1.0, math.sqrt(sum(counts) / len(counts) / n)) * n for n in counts if n]
    assert lengths == {round(sum(present))}
