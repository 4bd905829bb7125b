from __future__ import annotations

import torch
from plugins.checks import assert_distributed, generator

from ltbench.testing import checks
from ltbench_plugins.augments.cutout import Cutout

test_it_conforms = checks(Cutout())


def hidden(size: int, count: int = 1500, **parameters: float) -> torch.Tensor:
    """Return which pixels of white images are black, bool [count, size, size]."""
    return Cutout(**parameters).apply(torch.ones(count, 1, size, size), generator(1))[:, 0] == 0


def test_a_square_of_16_pixels_around_a_uniform_centre_is_clipped_to_an_image_of_32() -> None:
    found = hidden(32)
    rows, columns = found.any(2).sum(1), found.any(1).sum(1)
    assert torch.equal(found.sum((1, 2)), rows * columns)
    # By hand: a centre from 8 to 24 has all 16 rows; one in row 0 or 31 has 8 or 9.
    assert rows.unique().tolist() == list(range(8, 17))
    assert_distributed(rows.bincount()[8:], [1 / 32] + [2 / 32] * 7 + [17 / 32])
    assert_distributed(columns.bincount()[8:], [1 / 32] + [2 / 32] * 7 + [17 / 32])


def test_the_square_scales_with_the_image() -> None:
    assert int(hidden(8).sum((1, 2)).max()) == 16
    assert int(hidden(32, share=0.25).sum((1, 2)).max()) == 64
    assert int(hidden(32, share=0.48).sum((1, 2)).max()) == 14 * 14, "15 pixels, rounded down to an even number"


def test_the_smallest_square_has_two_pixels_a_side() -> None:
    assert int(hidden(32, share=0.01).sum((1, 2)).max()) == 4
    assert int(hidden(32, share=0.01).sum((1, 2)).min()) == 1, "one pixel in a corner"


def test_every_channel_is_painted_and_other_pixels_stay() -> None:
    images = torch.rand(8, 3, 16, 16, generator=generator(2))
    painted = Cutout(fill=0.47).apply(images, generator(3))
    changed = painted != images
    assert torch.equal(changed.any(1), changed.all(1))
    assert painted[changed].unique().tolist() == torch.tensor([0.47]).tolist()
