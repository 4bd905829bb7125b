from __future__ import annotations

import pytest
import torch
from plugins.checks import generator

from ltbench import Moment, Told
from ltbench.testing import checks
from ltbench_plugins.augments.alternating_flip import AlternatingFlip

SIZE = 6
NUMBER = 60

test_it_conforms = checks(AlternatingFlip())
test_without_a_crop_it_conforms = checks(AlternatingFlip(padding=0))


def told(epoch: int, indices: torch.Tensor) -> Told:
    return Told(
        indices=indices, labels=torch.zeros_like(indices), counts=torch.tensor([len(indices)]),
        moment=Moment(epoch=epoch, epochs=10.0, step=epoch, steps=10),
    )  # fmt: skip


@pytest.mark.parametrize("epoch", range(4))
def test_the_odd_images_of_an_even_epoch_are_mirrored_wherever_they_are_in_the_batch(epoch: int) -> None:
    images = torch.rand(NUMBER, 3, SIZE, SIZE, generator=generator())
    indices = torch.randperm(NUMBER, generator=generator(1))
    changed = AlternatingFlip(padding=0).apply_to(images, told(epoch, indices), generator(2))
    for place, index in enumerate(indices.tolist()):
        expected = images[place].flip(-1) if (index + epoch) % 2 else images[place]
        assert torch.equal(changed[place], expected)


def test_two_epochs_show_each_image_and_its_mirror_image_once() -> None:
    images = torch.rand(NUMBER, 1, SIZE, SIZE, generator=generator())
    first, second, third = (
        AlternatingFlip(padding=0).apply_to(images, told(epoch, torch.arange(NUMBER)), generator(epoch))
        for epoch in range(3)
    )
    assert torch.equal(first.flip(-1), second)
    assert torch.equal(first, third)


def test_a_crop_is_one_of_the_windows_of_the_reflected_image_and_all_are_drawn() -> None:
    image = torch.rand(1, 2, SIZE, SIZE, generator=generator())
    images, indices = image.expand(500, -1, -1, -1), torch.zeros(500, dtype=torch.int64)
    changed = AlternatingFlip(padding=2).apply_to(images, told(0, indices), generator(3))
    # Reflected by hand: without repeating the edge.
    places = [2, 1, *range(SIZE), SIZE - 2, SIZE - 3]
    wide = image[0][:, places][:, :, places]
    windows = [wide[:, top : top + SIZE, left : left + SIZE] for top in range(5) for left in range(5)]
    found = [[torch.equal(one, window) for window in windows].index(True) for one in changed]
    assert set(found) == set(range(25))
    assert max(found.count(number) for number in range(25)) < 45, "about 20 of each"
