from __future__ import annotations

import pytest
import torch
from plugins.checks import assert_distributed, generator

from ltbench.testing import checks
from ltbench_plugins.augments.crop_flip import CropFlip

ROW = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).expand(1, 1, 2, 2)
"""One image whose four pixels tell where each has gone."""

test_it_conforms = checks(CropFlip(padding=2, flip=1))


def crops(augment: CropFlip, number: int) -> list[list[list[int]]]:
    """Return random crops of the image of four pixels, as the store's own numbers."""
    drawn = augment.crops(augment.prepare(ROW), torch.zeros(number, dtype=torch.int64), generator())
    return drawn.squeeze(1).tolist()


@pytest.mark.parametrize(("flip", "expected"), [(0, [[1, 2], [3, 4]]), (1, [[2, 1], [4, 3]])])
def test_without_padding_an_image_is_itself_or_its_mirror_image(flip: float, expected: list[list[int]]) -> None:
    assert crops(CropFlip(padding=0, flip=flip), 3) == [expected] * 3


def test_a_crop_is_a_window_on_the_image_padded_with_black() -> None:
    padded = torch.zeros(4, 4, dtype=torch.int64)
    padded[1:3, 1:3] = torch.tensor([[1, 2], [3, 4]])
    windows = [padded[y : y + 2, x : x + 2].tolist() for y in range(3) for x in range(3)]
    drawn = crops(CropFlip(padding=1, flip=0), 900)
    assert_distributed([drawn.count(window) for window in windows], [1] * 9)


def test_each_image_draws_its_own_place_and_mirroring() -> None:
    drawn = crops(CropFlip(padding=1), 256)
    assert len({str(crop) for crop in drawn}) > 12  # 18 there are, some of them equal


@pytest.mark.parametrize("flip", [0.5, 0.1])
def test_the_share_of_mirror_images_is_the_probability(flip: float) -> None:
    drawn = crops(CropFlip(padding=0, flip=flip), 2000)
    mirrored = drawn.count([[2, 1], [4, 3]])
    assert_distributed([mirrored, 2000 - mirrored], [flip, 1 - flip])


def test_a_batch_is_scaled_to_one() -> None:
    augment = CropFlip(padding=0, flip=0)
    stored = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    batch = augment.batch(augment.prepare(stored), torch.tensor([2, 0, 1]), generator())
    assert batch.flatten().tolist() == pytest.approx([1.0, 0.0, 0.2])


def test_the_store_takes_what_its_docstring_says() -> None:
    prepared = CropFlip(padding=4).prepare(torch.zeros(10, 3, 32, 32, dtype=torch.uint8))
    assert prepared.shape == (10, 2, 9, 9, 3, 32, 32)
    assert prepared.untyped_storage().nbytes() == 10 * 3 * 2 * 40**2
