"""A random part of each image, resized."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import RandomResizedCrop as Reference

from ltbench.testing import checks
from ltbench_plugins.augments.random_resized_crop import RandomResizedCrop

test_it_conforms = checks(RandomResizedCrop())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("side", "size"), [(32, 32), (40, 32), (24, 32), (7, 5)])
def test_parts_are_cut_out_and_resized(side: int, size: int) -> None:
    images = torch.rand(30, 3, side, side, generator=seeded(1))
    augment = RandomResizedCrop()
    made = augment.to_size(images, size, seeded())
    parts = torch.stack([*augment.parts(30, side, seeded(), images.device)]).T.int().tolist()
    assert len({tuple(part) for part in parts}) > 20  # a draw for each image
    for image, found, (left, top, width, height, mirrored) in zip(images, made, parts, strict=True):
        part = image[None, :, top : top + height, left : left + width]
        expected = torch.nn.functional.interpolate(part, (size, size), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(found, expected.flip(-1) if mirrored else expected, rtol=1e-4, atol=1e-5)


def test_areas_and_proportions_are_those_of_torchvision() -> None:
    number, side = 4000, 64
    left, top, width, height, mirrored = RandomResizedCrop().parts(number, side, seeded(), torch.device("cpu"))
    torch.manual_seed(0)
    image = torch.empty(1, side, side)
    others = torch.tensor([Reference.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(number)]).float().T
    for mine, theirs in (
        (width * height, others[2] * others[3]), ((width / height).log(), (others[3] / others[2]).log()),
        (left / (side - width + 1), others[1] / (side - others[3] + 1)),
        (top / (side - height + 1), others[0] / (side - others[2] + 1)),
    ):  # fmt: skip
        error = ((mine.var() + theirs.var()) / number) ** 0.5
        assert (mine.mean() - theirs.mean()).abs() < 4 * error
        assert mine.std() / theirs.std() == pytest.approx(1, abs=0.06)
    assert mirrored.float().mean() == pytest.approx(0.5, abs=0.03)


def test_what_does_not_fit_is_the_whole_image() -> None:
    augment = RandomResizedCrop(least=0.99999, stretch=1e6, flip=0.0)
    images = torch.rand(50, 1, 8, 8, generator=seeded())
    torch.testing.assert_close(augment.apply(images, seeded()), images, rtol=0, atol=1e-5)


def test_without_a_choice_nothing_changes() -> None:
    images = torch.rand(5, 3, 16, 16, generator=seeded())
    made = RandomResizedCrop(least=0.99999, stretch=1.0, flip=0.0).apply(images, seeded())
    torch.testing.assert_close(made, images, rtol=0, atol=1e-5)
