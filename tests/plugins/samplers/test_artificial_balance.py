from __future__ import annotations

import pytest
import torch
from plugins.checks import epoch_of, generator, labels_of

from ltbench_plugins.samplers.artificial_balance import ArtificialBalance


def pool_of(threshold: int, counts: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    labels = labels_of(counts)
    return ArtificialBalance(threshold=threshold).pool(labels, torch.tensor(counts), generator(seed)), labels


def test_the_examples_of_the_report() -> None:
    # Report wong: 300 / 500 = 0.6 of a class of 500, and 300 / 100 = 3 copies of a class of 100.
    pool, labels = pool_of(300, [500, 100])
    copies = pool.bincount(minlength=600)
    assert sorted(copies[labels == 0].tolist()) == [0] * 200 + [1] * 300
    assert copies[labels == 1].tolist() == [3] * 100


def test_a_fractional_rate_is_whole_copies_and_a_random_rest() -> None:
    pool, labels = pool_of(300, [139, 1])
    copies = pool.bincount(minlength=140)
    assert sorted(copies[labels == 0].tolist()) == [2] * 117 + [3] * 22  # 2 * 117 + 3 * 22 = 300
    assert copies[labels == 1].tolist() == [300]


@pytest.mark.parametrize("threshold", [1, 7, 100, 1000])
def test_every_class_has_exactly_the_threshold(threshold: int) -> None:
    pool, labels = pool_of(threshold, [300, 70, 7, 1])
    assert labels[pool].bincount().tolist() == [threshold] * 4


def test_without_a_threshold_an_epoch_is_as_long_as_before() -> None:
    pool, labels = pool_of(0, [300, 70, 7, 3])
    assert labels[pool].bincount().tolist() == [95] * 4
    assert len(pool) == 380


def test_the_set_is_drawn_once_and_an_epoch_visits_all_of_it() -> None:
    sampler = ArtificialBalance(threshold=50)
    indices, labels = epoch_of(sampler, [300, 7], seed=3)
    pool = sampler.pool(labels, torch.tensor([300, 7]), generator(3))
    assert torch.equal(indices.sort()[0], pool.sort()[0])


def test_another_seed_keeps_other_images() -> None:
    assert not torch.equal(pool_of(30, [300, 70])[0].sort()[0], pool_of(30, [300, 70], seed=1)[0].sort()[0])
