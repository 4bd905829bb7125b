from __future__ import annotations

import torch
from plugins.checks import epoch_of, generator

from ltbench_plugins.samplers.shuffle import Shuffle


def test_an_epoch_visits_every_image_once() -> None:
    indices, labels = epoch_of(Shuffle(), [300, 7, 1])
    assert indices.sort()[0].tolist() == list(range(308))
    assert labels[indices].bincount().tolist() == [300, 7, 1]


def test_an_epoch_visits_every_image_of_a_given_pool_and_no_other() -> None:
    labels, pool = torch.zeros(10, dtype=torch.int64), torch.tensor([8, 3, 3, 5])
    epoch = Shuffle().epoch(pool, labels, torch.tensor([10]), 2, generator())
    assert sorted(epoch.tolist()) == [3, 3, 5, 8]
