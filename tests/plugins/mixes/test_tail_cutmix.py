from __future__ import annotations

import pytest
import torch
from plugins.checks import generator

from ltbench.longtail import thirds
from ltbench.testing import checks
from ltbench_plugins.mixes.cutmix import Cutmix
from ltbench_plugins.mixes.tail_cutmix import TailCutmix

test_it_conforms = checks(TailCutmix(tail=0.5))


@pytest.mark.parametrize(("tail", "expected"), [(1 / 3, [7, 8, 9]), (0.5, [5, 6, 7, 8, 9]), (0.01, [9]), (0.2, [8, 9])])
def test_the_tail_is_a_share_of_the_classes(tail: float, expected: list[int]) -> None:
    found = TailCutmix(tail=tail).tail_classes(torch.arange(10, 0, -1))
    assert found.nonzero().squeeze(1).tolist() == expected


@pytest.mark.parametrize("counts", [[9, 1, 5, 7, 3], [4] * 7, [3, 3, 1, 1, 1, 9]])
def test_the_default_tail_is_the_one_of_the_leaderboards(counts: list[int]) -> None:
    found = TailCutmix().tail_classes(torch.tensor(counts))
    assert found.nonzero().squeeze(1).tolist() == thirds(counts)["tail"]


def test_a_pair_with_a_tail_class_is_cut_as_by_cutmix_and_every_other_image_stays() -> None:
    counts = torch.tensor([90, 70, 50, 30, 20, 3])
    images = torch.randn(300, 3, 8, 8, generator=generator())
    labels = torch.randint(6, (300,), generator=generator(1))
    mixed = TailCutmix().mix(images, labels, counts, generator(2))
    plain = Cutmix().mix(images, labels, counts, generator(2))
    assert torch.equal(mixed.labels_b, plain.labels_b)
    tail = (labels >= 4) | (mixed.labels_b >= 4)
    assert 0.4 < tail.float().mean() < 0.7
    assert torch.equal(mixed.images[tail], plain.images[tail])
    assert torch.equal(mixed.lam[tail], plain.lam[tail])
    assert torch.equal(mixed.images[~tail], images[~tail])
    assert (mixed.lam[~tail] == 1).all()


def test_a_batch_without_tail_images_is_left_alone() -> None:
    images = torch.randn(16, 3, 8, 8, generator=generator())
    mixed = TailCutmix().mix(images, torch.zeros(16, dtype=torch.int64), torch.tensor([50, 40, 3]), generator())
    assert torch.equal(mixed.images, images)
