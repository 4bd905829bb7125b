"""The operations of AutoAugment on whole batches, against torchvision's on single images."""

from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import generator
from torchvision.transforms.v2 import functional

from ltbench_plugins.augments._operations import OPERATIONS, apply_each, filtered, identity

SIZE = 32
ORIGIN = [0.0, 0.0]


def one(image: torch.Tensor, name: str, magnitude: float) -> torch.Tensor:
    """Return torchvision's result for an image of bytes, uint8 [3, size, size]."""
    angle = math.degrees(math.atan(magnitude))
    match name:
        case "Identity":
            return image
        case "ShearX":
            return functional.affine(image, 0.0, [0, 0], 1.0, [angle, 0.0], center=ORIGIN)
        case "ShearY":
            return functional.affine(image, 0.0, [0, 0], 1.0, [0.0, angle], center=ORIGIN)
        case "TranslateX":
            return functional.affine(image, 0.0, [int(magnitude * image.shape[-1]), 0], 1.0, [0.0, 0.0])
        case "TranslateY":
            return functional.affine(image, 0.0, [0, int(magnitude * image.shape[-1])], 1.0, [0.0, 0.0])
        case "Rotate":
            return functional.rotate(image, magnitude)
        case "Brightness":
            return functional.adjust_brightness(image, 1 + magnitude)
        case "Color":
            return functional.adjust_saturation(image, 1 + magnitude)
        case "Contrast":
            return functional.adjust_contrast(image, 1 + magnitude)
        case "Sharpness":
            return functional.adjust_sharpness(image, 1 + magnitude)
        case "Posterize":
            return functional.posterize(image, int(magnitude))
        case "Solarize":
            return functional.solarize(image, round(magnitude * 255))
        case "AutoContrast":
            return functional.autocontrast(image)
        case "Equalize":
            return functional.equalize(image)
        case _:
            return functional.invert(image)


MAGNITUDES = {
    **dict.fromkeys(("ShearX", "ShearY"), (-0.3, -0.07, 0.0, 0.1, 0.3)),
    **dict.fromkeys(("TranslateX", "TranslateY"), (-0.45, -0.1, 0.0, 0.2, 0.45)),
    "Rotate": (-30.0, -11.3, 0.0, 7.7, 30.0),
    **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (-0.9, -0.4, 0.0, 0.4, 0.9)),
    "Posterize": (4.0, 5.0, 6.0, 7.0, 8.0),
    "Solarize": (0.0, 60 / 255, 128 / 255, 200 / 255, 1.0),
}


def pictures() -> torch.Tensor:
    """Return smooth and noisy images of bytes, uint8 [5, 3, 32, 32], one of them of few grey levels."""
    stream = generator(3)
    coarse = torch.randint(256, (5, 3, 4, 4), generator=stream).float()
    smooth = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    noisy = smooth + 20 * torch.randn(smooth.shape, generator=stream)
    noisy[3] = noisy[3] * 0.3 + 60
    noisy[4] = (noisy[4] / 90).round() * 90
    return noisy.clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_torchvision_with_a_magnitude_for_each_image(name: str) -> None:
    images, magnitudes = pictures(), MAGNITUDES.get(name, (0.0,) * 5)
    ours = OPERATIONS[name](images / 255, torch.tensor(magnitudes)) * 255
    expected = torch.stack([one(image, name, m) for image, m in zip(images, magnitudes, strict=True)]).float()
    # torchvision rounds a blend down to bytes, and contrast and grey values on the way.
    tolerance = 2.0 if name in {"Contrast", "Color", "Sharpness"} else 1.01
    off = (ours - expected).abs() > tolerance
    # A position exactly between two pixels may be rounded to either.
    assert off.float().mean() < (0.01 if name in {"Rotate", "ShearX", "ShearY"} else 1e-9)
    assert name == "Identity" or not torch.allclose(ours, images.float(), atol=2), "it does something"


def test_a_magnitude_of_zero_changes_nothing() -> None:
    images = pictures() / 255
    for name in (
        "ShearX",
        "ShearY",
        "TranslateX",
        "TranslateY",
        "Rotate",
        "Brightness",
        "Color",
        "Contrast",
        "Sharpness",
    ):
        torch.testing.assert_close(OPERATIONS[name](images, torch.zeros(5)), images)


def test_grey_images_are_changed_as_well() -> None:
    grey = pictures()[:, :1] / 255
    for name, operation in OPERATIONS.items():
        changed = operation(grey, torch.tensor([MAGNITUDES.get(name, (0.0,) * 5)[0]] * 5))
        assert changed.shape == grey.shape
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1


def test_each_image_gets_its_operation_and_the_input_is_not_changed() -> None:
    images = pictures() / 255
    before = images.clone()
    operations = (identity, OPERATIONS["Invert"], OPERATIONS["Brightness"])
    changed = apply_each(images, torch.tensor([0, 1, 2, 0, 1]), torch.full((5,), -0.5), operations)
    torch.testing.assert_close(changed[[0, 3]], images[[0, 3]])
    torch.testing.assert_close(changed[[1, 4]], 1 - images[[1, 4]])
    torch.testing.assert_close(changed[2], images[2] / 2)
    assert torch.equal(images, before)


def test_a_filter_leaves_the_border() -> None:
    images = pictures() / 255
    blurred = filtered(images, (1, 1, 1, 1, 1, 1, 1, 1, 1))
    assert torch.equal(blurred[..., 0, :], images[..., 0, :])
    # By hand: the mean of nine pixels.
    torch.testing.assert_close(blurred[0, 0, 5, 7], images[0, 0, 4:7, 6:9].mean())
