from __future__ import annotations

import pytest
import scipy.stats
import torch
from plugins.checks import generator

from ltbench import Model
from ltbench.testing import checks
from ltbench_plugins.mixes.manifold_mixup import ManifoldMixup
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.models.convnet import ConvNet

COUNTS = torch.tensor([4, 4])

test_it_conforms = checks(ManifoldMixup(per_batch=False, alpha=0.5))


def test_rows_of_any_shape_are_weighted_sums() -> None:
    for shape in ((1,), (3, 2, 2), (5,)):
        maps = torch.arange(4.0).view(-1, *[1] * len(shape)).expand(4, *shape) * 10
        mixed = ManifoldMixup().mix(maps, torch.arange(4), torch.ones(4), generator(3))
        lam = float(mixed.lam[0])
        for row in range(4):
            expected = lam * 10 * row + (1 - lam) * 10 * int(mixed.labels_b[row])
            assert mixed.images[row].flatten().tolist() == pytest.approx(
                [expected] * mixed.images[row].numel(), abs=1e-4
            )


def test_one_share_for_the_batch_or_one_for_each_image() -> None:
    maps, labels = torch.randn(16, 3), torch.arange(16) % 2
    assert len(ManifoldMixup().mix(maps, labels, COUNTS, generator()).lam.unique()) == 1
    assert len(ManifoldMixup(per_batch=False).mix(maps, labels, COUNTS, generator()).lam.unique()) > 12


def test_it_needs_a_network_with_blocks() -> None:
    class Blockless(Model, frozen=True):
        name = "blockless"

    assert ManifoldMixup().unsuited_to(Blockless()) == "its networks have no blocks()"
    assert ManifoldMixup().unsuited_to(ConvNet()) == Mixup().unsuited_to(Blockless()) == ""


def test_shares_are_drawn_from_the_beta_distribution() -> None:
    maps, labels = torch.randn(2, 1), torch.zeros(2, dtype=torch.int64)
    shares = [float(ManifoldMixup().mix(maps, labels, COUNTS, generator(seed)).lam[0]) for seed in range(400)]
    assert scipy.stats.kstest(shares, scipy.stats.beta(2, 2).cdf).pvalue > 0.001
    assert scipy.stats.kstest(shares, scipy.stats.beta(1, 1).cdf).pvalue < 0.001


def test_of_images_with_a_share_for_each_it_is_mixup_bit_by_bit() -> None:
    images, labels = torch.randn(16, 3, 4, 4), torch.arange(16) % 2
    ours = ManifoldMixup(alpha=0.4, per_batch=False).mix(images, labels, COUNTS, generator(5))
    plain = Mixup(alpha=0.4).mix(images, labels, COUNTS, generator(5))
    assert torch.equal(ours.images, plain.images)
    assert torch.equal(ours.lam, plain.lam)
    assert torch.equal(ours.labels_b, plain.labels_b)


def test_the_share_of_the_loss_is_exact_where_a_block_computes_in_bfloat16() -> None:
    maps, labels = torch.randn(8, 4), torch.arange(8) % 2
    exact, short = (ManifoldMixup().mix(given, labels, COUNTS, generator()) for given in (maps, maps.bfloat16()))
    assert torch.equal(exact.lam, short.lam)
    assert short.images.dtype == torch.bfloat16
