from __future__ import annotations

import pytest
import scipy.stats
import torch
from plugins.checks import generator

from ltbench.errors import ParameterError
from ltbench.testing import checks
from ltbench_plugins.mixes.mixup import Mixup

COUNTS = torch.tensor([4, 4])


def batch(size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(size, 1, 3, 3, generator=generator(1)), torch.arange(size) % 2


test_it_conforms = checks(Mixup(alpha=2.0), Mixup(lam=0.4), Mixup(per_batch=True))


def test_an_image_is_the_weighted_sum_of_itself_and_its_partner() -> None:
    images = torch.tensor([10.0, 20.0]).view(2, 1, 1, 1)
    drawn = [Mixup(lam=0.25).mix(images, torch.tensor([0, 1]), COUNTS, generator(seed)) for seed in range(8)]
    found = {(tuple(m.labels_b.tolist()), tuple(m.images.flatten().tolist())) for m in drawn}
    # By hand: 0.25 * 10 + 0.75 * 20 = 17.5 and 0.25 * 20 + 0.75 * 10 = 12.5, or every image with itself.
    assert found == {((0, 1), (10.0, 20.0)), ((1, 0), (17.5, 12.5))}


def test_a_share_of_one_is_the_image_itself_bit_by_bit() -> None:
    images, labels = batch()
    mixed = Mixup(lam=1.0).mix(images, labels, COUNTS, generator())
    assert torch.equal(mixed.images, images)
    assert torch.equal(mixed.labels_a, labels)
    assert mixed.lam.tolist() == [1.0] * 8


def test_a_share_of_zero_is_the_partner_bit_by_bit() -> None:
    images, labels = batch()
    mixed = Mixup(lam=0.0).mix(images, labels, COUNTS, generator())
    partner = torch.randperm(8, generator=generator())
    assert torch.equal(mixed.images, images[partner])
    assert torch.equal(mixed.labels_b, labels[partner])


def test_each_image_draws_its_own_share() -> None:
    images, labels = batch(64)
    assert len(Mixup().mix(images, labels, COUNTS, generator()).lam.unique()) > 60


def test_a_batch_may_share_one_draw() -> None:
    images, labels = batch(64)
    mix, stream = Mixup(alpha=1.0, per_batch=True), generator()
    drawn = [mix.mix(images, labels, COUNTS, stream) for _ in range(200)]
    assert all(len(mixed.lam.unique()) == 1 for mixed in drawn)
    assert all(len(mixed.lam) == 64 for mixed in drawn)
    assert scipy.stats.kstest([float(mixed.lam[0]) for mixed in drawn], "uniform").pvalue > 1e-3
    assert Mixup(lam=0.4, per_batch=True) == Mixup(lam=0.4)


@pytest.mark.parametrize("alpha", [0.4, 1.0, 3.0])
def test_shares_have_the_beta_distribution(alpha: float) -> None:
    images = torch.zeros(4000, 1, 1, 1)
    shares = Mixup(alpha=alpha).shares(images, generator())
    assert scipy.stats.kstest(shares.numpy(), scipy.stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_a_tiny_alpha_leaves_images_pure_and_finite() -> None:
    shares = Mixup(alpha=1e-3).shares(torch.zeros(1000, 1, 1, 1), generator())
    assert shares.isfinite().all()
    assert ((shares < 1e-3) | (shares > 1 - 1e-3)).float().mean() > 0.95


def test_shares_differ_from_batch_to_batch() -> None:
    images, stream = torch.zeros(16, 1, 1, 1), generator()
    assert not torch.equal(Mixup().shares(images, stream), Mixup().shares(images, stream))


def test_alpha_and_a_fixed_share_exclude_each_other() -> None:
    with pytest.raises(ParameterError, match="not both"):
        Mixup(alpha=1.0, lam=0.4)


def test_a_fixed_share_is_written_on_a_command_line() -> None:
    assert Mixup.parse({"lam": "0.4"}) == Mixup(lam=0.4)
    assert Mixup(lam=0.4).label == "mixup[lam=0.4]"
