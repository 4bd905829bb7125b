from __future__ import annotations

import torch
from plugins.checks import assert_distributed, both_sizes, epoch_of, generator

from ltbench_plugins.samplers.cb_sampler import CbSampler


@both_sizes
def test_an_epoch_has_as_many_draws_as_there_are_images(classes: int) -> None:
    counts = torch.full((classes,), 3000 // classes + 20)
    indices, _ = epoch_of(CbSampler(), counts)
    assert len(indices) == counts.sum()


def test_every_class_is_drawn_as_often_as_every_other() -> None:
    counts = [5000, 400, 50, 1]
    indices, labels = epoch_of(CbSampler(), counts)
    assert len(indices) == sum(counts)
    assert_distributed(labels[indices].bincount(), [1, 1, 1, 1])


def test_every_image_of_a_class_is_drawn_as_often_as_every_other() -> None:
    counts = [4000, 40]
    indices, labels = epoch_of(CbSampler(), counts, seed=2)
    rare = (labels == 1).nonzero().squeeze(1)
    draws = torch.bincount(indices, minlength=len(labels))
    assert_distributed(draws[rare], [1] * 40)


def test_draws_are_those_of_weights_of_one_over_the_class_count() -> None:
    counts = torch.tensor([90, 9, 1])
    indices, labels = epoch_of(CbSampler(), counts * 100, seed=5)
    weight = 1 / (counts * 100)[labels]
    by_class = torch.zeros(3).index_add(0, labels, weight / weight.sum())
    assert_distributed(labels[indices].bincount(), by_class)


def test_draws_are_with_replacement() -> None:
    indices, labels = epoch_of(CbSampler(), [99, 1])
    assert int((labels[indices] == 1).sum()) > 30  # the only image of its class, again and again


def test_the_last_image_of_a_class_is_drawn_too_and_never_one_beyond() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    pool = torch.arange(4)
    drawn = {int(i) for _ in range(20) for i in CbSampler().epoch(pool, labels, labels.bincount(), 2, generator(_))}
    assert drawn == {0, 1, 2, 3}


def test_a_class_without_an_image_is_never_drawn() -> None:
    labels = torch.tensor([0, 0, 2])
    epoch = CbSampler().epoch(torch.arange(3), labels, torch.tensor([2, 0, 1]), 2, generator())
    assert set(labels[epoch].tolist()) <= {0, 2}


def test_it_draws_from_the_pool_only() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    pool = torch.tensor([1, 5])
    epoch = CbSampler().epoch(pool, labels, torch.tensor([3, 3]), 2, generator())
    assert len(epoch) == 2
    assert set(epoch.tolist()) <= {1, 5}
