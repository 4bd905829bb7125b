from __future__ import annotations

import torch
from plugins.checks import assert_distributed, epoch_of, labels_of

from ltbench_plugins.samplers.reweighted_sampler import ReweightedSampler


def test_every_class_is_drawn_as_often_as_every_other() -> None:
    indices, labels = epoch_of(ReweightedSampler(), [6000, 600, 60, 6])
    assert len(indices) == 6666
    assert_distributed(labels[indices].bincount(), [1, 1, 1, 1])


def test_every_image_of_a_class_is_drawn_as_often_as_every_other() -> None:
    indices, labels = epoch_of(ReweightedSampler(), [6000, 600, 60, 6])
    for label, size in ((2, 60), (3, 6)):
        drawn = indices[labels[indices] == label]
        positions = (labels == label).nonzero().squeeze(1)
        assert_distributed((drawn[:, None] == positions).sum(0), [1] * size)


def test_an_image_is_drawn_in_proportion_to_total_over_classes_times_class_size() -> None:
    # Report jiang, figure 5, for counts 6, 3, 1: 10/18, 10/9 and 10/3, times the images of a class always 10/3.
    counts = torch.tensor([6, 3, 1])
    labels = labels_of(counts)
    weights = torch.tensor([10 / 18, 10 / 9, 10 / 3])[labels]
    drawn = torch.zeros(10)
    for seed in range(120):
        indices, _ = epoch_of(ReweightedSampler(), counts, seed=seed)
        drawn += indices.bincount(minlength=10)
    assert_distributed(drawn, weights)


def test_a_pool_that_leaves_images_out_is_all_that_is_drawn_from() -> None:
    labels = labels_of([50, 50])
    pool = torch.arange(0, 100, 3)
    generator = torch.Generator().manual_seed(0)
    drawn = ReweightedSampler().epoch(pool, labels, labels.bincount(), 10, generator)
    assert torch.isin(drawn, pool).all()
