from __future__ import annotations

import pytest
import scipy.stats
import torch
import torchvision.transforms.functional as tv
from plugins.checks import generator

from ltbench_plugins.augments import _colour
from ltbench_plugins.augments.jiang_augment import JiangAugment

STILL = {"translate": 0, "degrees": 0, "jitter": 0, "hue": 0}


def pictures(number: int, size: int = 32) -> torch.Tensor:
    return torch.rand(number, 3, size, size, generator=generator(9))


def test_no_chance_changes_nothing() -> None:
    images = pictures(8)
    assert torch.equal(JiangAugment(chance=0).apply(images, generator()), images)


def test_the_order_is_shift_mirror_rotation_as_torchvision_does_each() -> None:
    images = pictures(40)
    augment = JiangAugment(chance=1, jitter=0, hue=0)
    moved = augment.move(images, generator(3))
    chosen, (angles, right, down) = augment._draws(images, 3, generator(3))
    assert chosen.all()
    for number in range(40):
        shift = [round(float(right[number]) * 3.2), round(float(down[number]) * 3.2)]
        one = tv.affine(images[number], angle=0, translate=shift, scale=1, shear=[0.0], fill=[0.5])
        one = tv.rotate(tv.hflip(one), 45 * float(angles[number]), fill=[0.5])
        # A position just between two pixels may be rounded the other way.
        assert (moved[number] != one).any(0).float().mean() < 0.01


def test_a_shift_is_whole_pixels_up_to_a_tenth_and_leaves_the_fill_behind() -> None:
    image = torch.full((1, 1, 32, 32), 0.25)
    image[:, :, 16, 16] = 1
    images = image.expand(3000, -1, -1, -1)
    augment = JiangAugment(chance=1, translate=0.1, degrees=0, jitter=0, hue=0)
    moved = augment.apply(images, generator())
    row, column = (moved.flatten(1).argmax(1) // 32), (moved.flatten(1).argmax(1) % 32)
    down, right = row - 16, column - 15  # mirrored: column 16 becomes 15
    for shift in (down, right):
        assert (shift.min(), shift.max()) == (-3, 3)
        # 2 * 3.2 pixels of equally likely shifts; the outermost are rounded from 0.7 pixels instead of 1.
        expected = torch.tensor([0.7, 1, 1, 1, 1, 1, 0.7])
        assert scipy.stats.chisquare((shift + 3).bincount(), expected * 3000 / 6.4).pvalue > 1e-3
    left_over = (moved == 0.5).flatten(1).sum(1)
    assert torch.equal(left_over, 32 * (down.abs() + right.abs()) - down.abs() * right.abs())


@pytest.mark.parametrize("fill", [0.0, 0.5, 1.0])
def test_corners_that_a_rotation_uncovers_get_the_fill(fill: float) -> None:
    images = torch.full((50, 3, 16, 16), 0.25)
    moved = JiangAugment(**STILL | {"degrees": 45}, chance=1, fill=fill).apply(images, generator())
    assert set(moved.unique().tolist()) == {0.25, fill}
    assert (moved[:, :, 8, 8] == 0.25).all()


def test_what_a_shift_pushes_out_does_not_come_back_by_a_rotation() -> None:
    # The outermost column is marked; shifted out by at least one pixel, it must be gone whatever the rotation does.
    images = torch.zeros(400, 1, 16, 16)
    images[:, :, :, 15] = 1
    augment = JiangAugment(chance=1, translate=0.25, degrees=45, jitter=0, hue=0)
    _, (_, right, _) = augment._draws(images, 3, generator(5))
    pushed_out = (right * 0.25 * 16).round() >= 1
    moved = augment.apply(images, generator(5))
    assert pushed_out.sum() > 100
    assert set(moved[pushed_out].unique().tolist()) == {0, 0.5}


@pytest.mark.parametrize("change", ["translate", "degrees", "jitter", "hue"])
def test_each_change_alone_changes_images_and_differs_between_them(change: str) -> None:
    images = pictures(1).expand(32, -1, -1, -1)
    strength = {"translate": 0.1, "degrees": 45.0, "jitter": 0.2, "hue": 0.2}[change]
    changed = JiangAugment(**STILL | {change: strength}, chance=1).apply(images, generator())
    assert len({one.numpy().tobytes() for one in changed}) > 15  # there are 49 shifts


def test_each_of_the_four_changes_has_its_own_chance() -> None:
    image = pictures(1, 8)
    images = image.expand(3000, -1, -1, -1)
    flipped = JiangAugment(**STILL).apply(images, generator())
    recoloured = JiangAugment(**STILL | {"hue": 0.5}).recolour(images.clone(), generator())
    for changed in (flipped, recoloured):
        # A hue that is turned by nothing is right up to rounding.
        number = ((changed - images).abs() > 1e-5).flatten(1).any(1).sum()
        assert scipy.stats.binomtest(int(number), 3000, 0.3).pvalue > 1e-3
    whole = JiangAugment().apply(images, generator())
    untouched = (whole == images).flatten(1).all(1).sum()
    # 0.7^4 = 0.2401, and a shift that rounds to no pixel in both directions leaves an image alone, too.
    still = 0.7**3 * (0.7 + 0.3 * (1 / 1.6) ** 2)
    assert scipy.stats.binomtest(int(untouched), 3000, still).pvalue > 1e-3


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (_colour.brightness, tv.adjust_brightness, (0.8, 1.0, 1.2)),
        (_colour.contrast, tv.adjust_contrast, (0.8, 1.0, 1.2)),
        (_colour.saturation, tv.adjust_saturation, (0.0, 0.8, 1.2)),
        (_colour.hue, tv.adjust_hue, (-0.5, -0.2, 0.0, 0.13, 0.5)),
    ],
)
def test_colours_are_torchvisions(ours, theirs, factors) -> None:
    images = pictures(6, 8)
    images[0] = 0.3  # grey: no hue, no saturation
    images[1, 0] = images[1, 1]  # ties between channels
    images[2] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    for factor in factors:
        each = torch.full((6, 1, 1, 1), factor)
        expected = torch.stack([theirs(image, factor) for image in images])
        torch.testing.assert_close(ours(images, each), expected, rtol=0, atol=2e-6)


def test_factors_are_each_images_own() -> None:
    images = pictures(5, 8)
    factors = torch.tensor([0.8, 0.9, 1.0, 1.1, 1.2])
    changed = _colour.contrast(images, factors.view(-1, 1, 1, 1))
    for image, factor, one in zip(images, factors, changed, strict=True):
        torch.testing.assert_close(one, tv.adjust_contrast(image, float(factor)), rtol=0, atol=2e-6)


def test_the_four_colours_come_in_an_order_drawn_for_each_image() -> None:
    image = torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1) * torch.linspace(0.2, 1, 16).view(1, 1, 4, 4)
    images = image.expand(600, -1, -1, -1).clone()

    class Fixed(JiangAugment, frozen=True):
        """The same strengths for every image, so that the order alone is left to differ."""

        name = "fixed"

        def _draws(self, images, switches, generator, numbers=3):
            chosen, draws = super()._draws(images, switches, generator, numbers)
            return chosen, torch.full_like(draws, 0.9)

    changed = Fixed(chance=1, jitter=0.9, hue=0.2).recolour(images, generator())
    # 24 orders; some give the same image where no value is cut off.
    assert 6 <= len({one.numpy().round(4).tobytes() for one in changed}) <= 24
