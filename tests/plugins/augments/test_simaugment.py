from __future__ import annotations

import pytest
import torch
from plugins.checks import generator
from torchvision.transforms.v2 import functional

from ltbench.testing import checks
from ltbench_plugins.augments.simaugment import SimAugment

test_it_conforms = checks(SimAugment(scale=0.08, jitter=0.8, hue=0.2))


def ramp(count: int, size: int = 32) -> torch.Tensor:
    """Return images whose red is the column and green the row of a pixel, from 0 to 1."""
    place = (torch.arange(size) + 0.5) / size
    rows, columns = place[:, None].expand(size, size), place.expand(size, size)
    return torch.stack([columns, rows, torch.zeros(size, size)])[None].expand(count, -1, -1, -1).clone()


def test_crops_have_random_areas_and_ratios_inside_the_image() -> None:
    crops = SimAugment().crop(ramp(1500), generator(1))
    # The red of neighbouring pixels differs by the width of the crop over 32 * 32; away from the border by all of it.
    width = (crops[:, 0, 16, 20] - crops[:, 0, 16, 12]) * 4
    height = (crops[:, 1, 20, 16] - crops[:, 1, 12, 16]) * 4
    area, ratio = width * height, width / height
    assert 0.17 < float(area.min()) < float(area.max()) <= 1.0001  # sides are whole pixels
    assert 0.7 < float(ratio.min()) < float(ratio.max()) < 1.45
    # Areas are uniform where all ratios fit into the image, and the logarithm of the ratio is symmetric.
    low = area[area < 0.7]
    assert float(low.mean()) == pytest.approx(0.45, abs=0.03)
    assert float(ratio.log().mean()) == pytest.approx(0, abs=0.02)


def test_a_crop_is_that_of_torchvision() -> None:
    """Find each crop by its corners and compare with torchvision's resized crop."""
    images = ramp(40)
    noise = torch.rand(1, 3, 32, 32, generator=generator(9)).expand(40, -1, -1, -1)
    found, of_noise = SimAugment().crop(images, generator(2)), SimAugment().crop(noise, generator(2))
    width = ((found[:, 0, 16, 20] - found[:, 0, 16, 12]) * 4 * 32).round().long()
    height = ((found[:, 1, 20, 16] - found[:, 1, 12, 16]) * 4 * 32).round().long()
    centre_x = (found[:, 0, 16, 15] + found[:, 0, 16, 16]) / 2 * 32
    centre_y = (found[:, 1, 15, 16] + found[:, 1, 16, 16]) / 2 * 32
    left, top = (centre_x - width / 2).round().long(), (centre_y - height / 2).round().long()
    for number in range(40):
        expected = functional.resized_crop(
            noise[number], int(top[number]), int(left[number]), int(height[number]), int(width[number]), [32, 32],
            antialias=False,
        )  # fmt: skip
        # A bilinear crop of torchvision does not see the pixels around it.
        inner = (slice(None), slice(3, -3), slice(3, -3))
        torch.testing.assert_close(of_noise[number][inner], expected[inner], atol=1e-4, rtol=0)


def test_half_of_the_images_are_mirrored_and_a_fifth_grey() -> None:
    drawn = SimAugment(scale=1.0, jitter=0.0, hue=0.0).apply(ramp(1500), generator(3))
    grey = (drawn[:, 0] == drawn[:, 1]).all(2).all(1)
    assert float(grey.float().mean()) == pytest.approx(0.2, abs=0.035)
    rising = drawn[~grey, 0, 16, 24] > drawn[~grey, 0, 16, 8]
    assert float(rising.float().mean()) == pytest.approx(0.5, abs=0.045)


def test_four_fifths_change_their_colours() -> None:
    """With a whole crop, the rest is the image or its mirror image."""
    images = ramp(1500)
    drawn = SimAugment(scale=1.0, grey=0.0).apply(images, generator(4))
    whole = SimAugment(scale=1.0).crop(images, generator(4))
    same = ((drawn - whole).abs().amax((1, 2, 3)) < 1e-4) | ((drawn - whole.flip(-1)).abs().amax((1, 2, 3)) < 1e-4)
    assert float(same.float().mean()) == pytest.approx(0.2, abs=0.035)


def test_brightness_changes_by_up_to_two_fifths() -> None:
    grey = torch.full((3000, 1, 8, 8), 0.5)
    drawn = SimAugment().apply(grey, generator(5))[:, 0, 4, 4]
    assert 0.3 <= float(drawn.min()) < 0.31
    assert 0.69 < float(drawn.max()) <= 0.7


def test_the_hue_turns_by_up_to_a_tenth_of_the_circle_in_either_direction() -> None:
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(1000, 3, 4, 4)
    turned = SimAugment(jitter=0, grey=0).apply(red.clone(), generator(9))[:, :, 0, 0]
    # By hand: from red, a turn by t of the circle to yellow adds 6 t of green, one to magenta 6 t of blue.
    assert torch.allclose(turned[:, 0], torch.ones(1000))
    green, blue = turned[:, 1], turned[:, 2]
    assert float((green * blue).max()) < 1e-6
    for other in (green, blue):
        assert 0.55 < float(other.max()) <= 0.6 + 1e-5
        assert float((other > 1e-6).float().mean()) == pytest.approx(0.4, abs=0.05)
