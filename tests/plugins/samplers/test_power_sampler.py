from __future__ import annotations

import pytest
import torch
from plugins.checks import assert_distributed, epoch_of, generator

from ltbench import Sampler
from ltbench.testing import checks
from ltbench_plugins.samplers.cb_sampler import CbSampler
from ltbench_plugins.samplers.power_sampler import PowerSampler
from ltbench_plugins.samplers.reverse import Reverse
from ltbench_plugins.samplers.shuffle import Shuffle
from ltbench_plugins.samplers.sqrt_sampler import SqrtSampler

test_it_conforms = checks(PowerSampler(q=-0.5), PowerSampler(q=0), PowerSampler(q=1))
COUNTS = [8100, 900, 100]


@pytest.mark.parametrize(
    ("sampler", "weights"),
    [
        (SqrtSampler(), [90, 30, 10]),  # the square roots of the counts
        (Reverse(), [1, 9, 81]),  # n_max / n_c
        (PowerSampler(q=0.5), [90, 30, 10]),
        (PowerSampler(q=-1), [1, 9, 81]),
        (PowerSampler(q=0), [1, 1, 1]),
        (PowerSampler(q=1), COUNTS),
        (PowerSampler(), [853.8, 164.3, 31.62]),  # (n_c ** 3) ** (1 / 4): 27000 ** 0.5 * ..., by a calculator
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_classes_are_drawn_in_proportion_to_the_power_of_their_size(sampler: Sampler, weights: list[float]) -> None:
    indices, labels = epoch_of(sampler, COUNTS)
    assert len(indices) == sum(COUNTS)
    assert_distributed(labels[indices].bincount(), weights)
    share = sampler.share(torch.tensor(COUNTS))
    assert share is not None
    assert share.tolist() == pytest.approx([w / sum(weights) for w in weights], rel=1e-3)


@pytest.mark.parametrize(("q", "other"), [(0, CbSampler()), (1, Shuffle())])
def test_its_limits_are_class_balanced_and_instance_balanced_sampling(q: float, other: Sampler) -> None:
    counts = torch.tensor([90, 9, 0, 1])
    torch.testing.assert_close(PowerSampler(q=q).share(counts), other.share(counts))


@pytest.mark.parametrize("sampler", [SqrtSampler(), Reverse()], ids=lambda s: s.name)
def test_every_image_of_a_class_is_drawn_as_often_as_every_other(sampler: Sampler) -> None:
    indices, labels = epoch_of(sampler, [4000, 40], seed=2)
    draws = indices.bincount(minlength=len(labels))
    assert_distributed(draws[labels == 1], [1] * 40)


@pytest.mark.parametrize("sampler", [SqrtSampler(), Reverse()], ids=lambda s: s.name)
def test_it_draws_from_the_pool_only_and_no_class_without_images(sampler: Sampler) -> None:
    labels, pool = torch.tensor([0, 0, 2, 2]), torch.tensor([1, 3])
    drawn = torch.cat([sampler.epoch(pool, labels, torch.tensor([2, 0, 2]), 2, generator(seed)) for seed in range(9)])
    assert set(drawn.tolist()) == {1, 3}
    assert sampler.share(torch.tensor([2, 0, 2])).tolist() == [0.5, 0, 0.5]
