from __future__ import annotations

import pytest
import torch
from plugins.checks import assert_distributed, epoch_of

from ltbench_plugins.samplers.balanced_batch import BalancedBatch


@pytest.mark.parametrize(
    ("per_class", "batch_size", "classes", "expected"),
    [(0, 128, 10, 120), (0, 128, 1000, 1000), (0, 100, 10, 100), (3, 128, 10, 30), (1, 128, 2, 2)],
)
def test_the_size_of_a_batch(per_class: int, batch_size: int, classes: int, expected: int) -> None:
    assert BalancedBatch(per_class=per_class).batch_size(batch_size, classes) == expected


@pytest.mark.parametrize("per_class", [1, 4])
def test_every_batch_holds_the_same_number_of_images_of_each_class(per_class: int) -> None:
    counts = [400, 60, 9, 1]
    indices, labels = epoch_of(BalancedBatch(per_class=per_class), counts)
    for batch in labels[indices].split(4 * per_class):
        assert batch.bincount().tolist() == [per_class] * 4


@pytest.mark.parametrize("per_class", [1, 5, 40])
def test_an_epoch_has_as_many_batches_as_without_this_sampler(per_class: int) -> None:
    counts = [400, 60, 9, 1]
    indices, _ = epoch_of(BalancedBatch(per_class=per_class), counts, batch_size=128)
    assert len(indices) == 4 * per_class * 4  # 470 images in batches of 128: 3.7


def test_an_epoch_of_cifar10_lt_has_97_batches_of_120() -> None:
    counts = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    indices, _ = epoch_of(BalancedBatch(), counts, batch_size=128)
    assert len(indices) == 97 * 120


def test_images_of_a_class_come_as_often_as_each_other_give_or_take_one() -> None:
    indices, labels = epoch_of(BalancedBatch(per_class=2), [400, 60, 9, 1])
    for label in range(4):
        seen = indices.bincount(minlength=470)[labels == label]
        assert seen.max() - seen.min() <= 1
        assert seen.sum() == len(indices) / 4
    assert (indices.bincount(minlength=470)[labels == 0]).max() == 1


def test_which_images_of_a_large_class_are_left_out_changes_from_epoch_to_epoch() -> None:
    seen = torch.zeros(220)
    for seed in range(80):
        indices, labels = epoch_of(BalancedBatch(), [200, 20], seed=seed)
        seen += indices.bincount(minlength=220)
    assert_distributed(seen[labels == 0], [1] * 200)


def test_the_order_within_a_batch_is_random() -> None:
    indices, labels = epoch_of(BalancedBatch(per_class=1), [3000, 3000])
    assert_distributed(labels[indices][::2].bincount(), [1, 1])
