from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.checks import assert_distributed, generator

from ltbench import Moment, Told
from ltbench.testing import checks
from ltbench_plugins.augments import _curriculum
from ltbench_plugins.augments.cuda import Cuda

MOMENT = Moment(epoch=1, epochs=10.0, step=10, steps=100)
LABELS = torch.tensor([0] * 30 + [1] * 10 + [2] * 5)

test_it_conforms = checks(Cuda())


def shades() -> torch.Tensor:
    """Return grey images, the brightness of whose every pixel tells the class: uint8 [45, 3, 8, 8]."""
    return (40 + 80 * LABELS).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).contiguous()


def probed(levels: list[int], right: object, cuda: Cuda | None = None) -> list[int]:
    """Return levels after a test. right: number of the image, which counts from 0 in each call -> whether it is right."""
    state = {"levels": torch.tensor(levels)}
    after = (cuda or Cuda()).probe(right, shades(), LABELS, state, MOMENT, generator(1))
    return after["levels"].tolist()


def known(*classes: int):
    """Return a network that recognises these classes in images that are not augmented."""

    def predict(images: torch.Tensor) -> torch.Tensor:
        found = ((images.mean((1, 2, 3)) * 255 - 40) / 80).round().long().clamp(0, 2)
        right = torch.isin(found, torch.tensor(classes))
        return torch.nn.functional.one_hot(torch.where(right, found, (found + 1) % 3), 3).float()

    return predict


def always(label: int):
    return lambda images: torch.nn.functional.one_hot(torch.full((len(images),), label), 3).float()


def test_a_class_that_is_right_rises_and_one_that_is_wrong_falls_but_not_below_zero() -> None:
    assert probed([0, 0, 0], known(0, 2)) == [1, 0, 1]


def test_a_class_that_is_always_right_rises_to_ten() -> None:
    assert probed([10, 4, 0], always(0)) == [10, 3, 0]
    assert probed([9, 4, 1], always(1)) == [8, 5, 0]


def test_every_level_up_to_that_of_the_class_is_tested_with_more_images(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.Tensor] = []

    def recorded(images: torch.Tensor, level: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        asked.append(level)
        return images

    monkeypatch.setattr("ltbench_plugins.augments.cuda.strengthen", recorded)
    probed([2, 0, 1], known(0, 1, 2))
    # By hand: 10 (l + 1) images at each level: class 0 at 0, 1, 2, class 1 at 0, class 2 at 0 and 1.
    assert torch.cat(asked).bincount().tolist() == [30, 40, 30]


@pytest.mark.parametrize(("share", "after"), [(0.59, 0), (0.6, 1), (0.8, 1)])
def test_three_fifths_must_be_right(share: float, after: int) -> None:
    calls = 0

    def predict(images: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += len(images)
        right = torch.arange(len(images)) % 100 < round(100 * share)
        return torch.nn.functional.one_hot((~right).long(), 3).float()

    state = {"levels": torch.tensor([0, 0, 0])}
    labels = torch.zeros(45, dtype=torch.int64)  # one class: one batch of 100 images
    found = Cuda(tests=100).probe(predict, shades(), labels, state, MOMENT, generator(1))
    assert calls == 100
    assert found["levels"].tolist() == [after, 0, 0], "classes without images stay where they are"


def test_one_failed_level_is_enough_to_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    def marked(images: torch.Tensor, level: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        return images.where((level != 1)[:, None, None, None], 0)  # wrong at level 1 alone

    monkeypatch.setattr("ltbench_plugins.augments.cuda.strengthen", marked)
    # Black is taken for the first class.
    assert probed([3, 3, 0], known(0, 1, 2)) == [4, 2, 1]


@pytest.mark.parametrize(("wrong_each", "after"), [(2, 0), (3, 2)])
def test_the_share_at_a_level_is_of_the_images_of_that_level(
    monkeypatch: pytest.MonkeyPatch, wrong_each: int, after: int
) -> None:
    def marked(images: torch.Tensor, level: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        wrong = (level == 1) & (torch.arange(len(level)) % wrong_each == 0)
        return images.where(~wrong[:, None, None, None], 0)

    monkeypatch.setattr("ltbench_plugins.augments.cuda.strengthen", marked)
    # By hand: of the 20 images at level 1, 10 are right (0.5 < 0.6), or 13 (0.65).
    assert probed([0, 1, 0], known(0, 1, 2)) == [1, after, 1]


def test_half_of_the_images_are_augmented_as_their_class_says() -> None:
    images = torch.rand(2000, 3, 8, 8, generator=generator(2))
    labels = torch.arange(2000) % 2
    told = Told(indices=torch.arange(2000), labels=labels, counts=torch.tensor([9, 9]), moment=MOMENT,
                state={"levels": torch.tensor([0, 10])})  # fmt: skip
    changed = (Cuda().apply_to(images, told, generator(3)) != images).flatten(1).any(1)
    assert not changed[labels == 0].any()
    assert float(changed[labels == 1].float().mean()) == pytest.approx(0.5, abs=0.03)
    every = (Cuda(chance=1.0).apply_to(images, told, generator(3)) != images).flatten(1).any(1)
    assert float(every[labels == 1].float().mean()) > 0.99


def test_at_level_0_nothing_is_changed() -> None:
    images = torch.rand(20, 3, 8, 8)
    told = Told(indices=torch.arange(20), labels=torch.zeros(20, dtype=torch.int64), counts=torch.tensor([20]), moment=MOMENT,
                state={"levels": torch.zeros(1, dtype=torch.int64)})  # fmt: skip
    assert torch.equal(Cuda(chance=1.0).apply_to(images, told, generator()), images)


def test_a_level_is_the_number_and_the_magnitude_of_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, float]] = []

    def counting(images: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
        seen.extend((round(float(image.mean()), 3), float(m)) for image, m in zip(images, magnitude, strict=True))
        return images

    monkeypatch.setattr(_curriculum, "OPERATIONS", ((counting, 0.1, 1.9, False),))
    images = torch.tensor([0.1, 0.2, 0.3])[:, None, None, None].expand(3, 1, 4, 4)
    _curriculum.strengthen(images, torch.tensor([0, 3, 10]), generator())
    of_image = {value: [m for who, m in seen if who == value] for value in (0.1, 0.2, 0.3)}
    assert {value: len(found) for value, found in of_image.items()} == {0.1: 0, 0.2: 3, 0.3: 10}
    # By hand: 0.1 + 1.8 * 3 / 30 and 0.1 + 1.8 * 10 / 30.
    assert of_image[0.2] == pytest.approx([0.28] * 3)
    assert of_image[0.3] == pytest.approx([0.7] * 10)


def test_operations_are_drawn_alike() -> None:
    drawn: list[int] = []
    original = _curriculum.ops.apply_each

    def recorded(images, number, magnitude, operations):
        drawn.extend(number.tolist())
        return original(images, number, magnitude, operations)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_curriculum.ops, "apply_each", recorded)
        _curriculum.strengthen(torch.rand(600, 1, 4, 4), torch.full((600,), 3), generator(4))
    assert_distributed(torch.tensor(drawn).bincount(minlength=22), [1 / 22] * 22)


def test_filters_are_those_of_pil() -> None:
    from PIL import Image, ImageFilter

    pixels = torch.randint(256, (16, 16), generator=generator(5), dtype=torch.uint8)
    image = Image.fromarray(pixels.numpy())
    given, zero = pixels[None, None] / 255, torch.zeros(1)
    for ours, filtered in (
        (_curriculum.edge_enhance, ImageFilter.EDGE_ENHANCE),
        (_curriculum.detail, ImageFilter.DETAIL),
        (_curriculum.smooth, ImageFilter.SMOOTH),
    ):
        expected = torch.tensor(np.asarray(image.filter(filtered)))
        torch.testing.assert_close((ours(given, zero) * 255)[0, 0], expected.float(), atol=1.0, rtol=0)


def test_enlarging_and_blurring_have_a_magnitude_for_each_image() -> None:
    images = torch.rand(2, 3, 16, 16, generator=generator(6))
    enlarged = _curriculum.resize_crop(images, torch.tensor([1.0, 1.5]))
    torch.testing.assert_close(enlarged[0], images[0], atol=1e-5, rtol=0)
    assert not torch.allclose(enlarged[1], images[1], atol=0.05)
    blurred = _curriculum.gaussian_blur(images, torch.tensor([0.0, 4.0]))
    torch.testing.assert_close(blurred[0], images[0], atol=1e-5, rtol=0)
    # A deviation of 4 pixels of 32 is 2 of 16.
    from torchvision.transforms.v2 import functional

    expected = functional.gaussian_blur(images[1], [15, 15], [2.0, 2.0])
    torch.testing.assert_close(blurred[1][:, 7:9, 7:9], expected[:, 7:9, 7:9], atol=0.02, rtol=0)
