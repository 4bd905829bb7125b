from __future__ import annotations

import pytest
import scipy.stats
import torch
from plugins.checks import generator

from ltbench.errors import ParameterError
from ltbench.stages import Mixed
from ltbench.testing import checks
from ltbench_plugins.mixes.cutmix import Cutmix

test_it_conforms = checks(Cutmix(alpha=0.3), Cutmix(lam=0.6))


def numbered(batch: int, size: int = 16, *, mix: Cutmix, seed: int = 0) -> tuple[torch.Tensor, Mixed]:
    """Mix images whose every pixel is the number of the image; return which image each pixel is of."""
    images = torch.arange(batch).float()[:, None, None, None].expand(-1, 3, size, size)
    mixed = mix.mix(images, torch.arange(batch), torch.ones(batch, dtype=torch.int64), generator(seed))
    assert (mixed.images == mixed.images[:, :1]).all(), "channels are cut at different places"
    return mixed.images[:, 0], mixed


@pytest.mark.parametrize("mix", [Cutmix(), Cutmix(alpha=0.3), Cutmix(lam=0.2)], ids=lambda m: m.label)
def test_lambda_is_the_share_of_pixels_that_are_really_of_label_a(mix: Cutmix) -> None:
    pixels, mixed = numbered(200, mix=mix)
    own = (pixels == mixed.labels_a[:, None, None]).float().mean((1, 2))
    partners = (pixels == mixed.labels_b[:, None, None]).float().mean((1, 2))
    different = mixed.labels_a != mixed.labels_b
    assert different.sum() > 190
    torch.testing.assert_close(mixed.lam[different], own[different])
    torch.testing.assert_close(1 - mixed.lam[different], partners[different])


def test_the_pasted_part_is_a_box() -> None:
    pixels, mixed = numbered(200, mix=Cutmix())
    pasted = (pixels != mixed.labels_a[:, None, None]) & (mixed.labels_a != mixed.labels_b)[:, None, None]
    area = pasted.any(1).sum(1) * pasted.any(2).sum(1)
    assert torch.equal(area, pasted.sum((1, 2)))
    assert len(area.unique()) > 20, "every image has the same box"


def test_a_fixed_lambda_of_one_leaves_the_images_as_they_are() -> None:
    images = torch.randn(8, 3, 9, 9, generator=generator())
    labels = torch.arange(8)
    mixed = Cutmix(lam=1).mix(images, labels, torch.ones(8, dtype=torch.int64), generator(1))
    assert torch.equal(mixed.images, images)
    assert mixed.lam.tolist() == [1] * 8


def test_a_box_in_the_middle_has_the_sides_of_the_formula() -> None:
    # lam = 0.75 on 16 pixels: sides 16 * sqrt(0.25) = 8, so 8 x 8 of 16 x 16 where nothing is cut off.
    _, mixed = numbered(300, mix=Cutmix(lam=0.75))
    assert float(mixed.lam.min()) == 0.75
    assert (mixed.lam == 0.75).float().mean() == pytest.approx((9 / 16) ** 2, abs=0.1)


def test_what_is_cut_off_at_the_border_counts_for_the_image_itself() -> None:
    pixels, mixed = numbered(300, mix=Cutmix(lam=0))
    assert float(mixed.lam.min()) == 0
    assert float(mixed.lam.max()) > 0.5
    assert (pixels == mixed.labels_b[:, None, None]).flatten(1).any(1).all()


def test_with_alpha_one_every_share_is_equally_likely() -> None:
    # The centre moves what is cut off, so it is the draw itself that is looked at.
    from ltbench_plugins.mixes._boxes import shares

    images = torch.zeros(4000, 1, 1, 1)
    assert scipy.stats.kstest(shares(images, 1, None, generator()).numpy(), "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(shares(images, 0.4, None, generator()).numpy(), "beta", (0.4, 0.4)).pvalue > 1e-3


def test_alpha_and_a_fixed_lambda_are_not_taken_together() -> None:
    with pytest.raises(ParameterError, match="not both"):
        Cutmix(alpha=0.5, lam=0.5)
