from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from plugins.augments.test_operations import one, pictures
from plugins.checks import assert_distributed, generator
from torchvision.transforms import AutoAugment as Reference
from torchvision.transforms import RandAugment as RandReference

from ltbench.testing import checks
from ltbench_plugins.augments._policies import BOTH_WAYS, NAMES, cifar_policy, magnitude
from ltbench_plugins.augments.autoaugment import AutoAugment
from ltbench_plugins.augments.randaugment import RandAugment

test_it_conforms = checks(AutoAugment(cutout=True))


def small() -> torch.Tensor:
    """Return an image that every operation changes, uint8 [1, 3, 16, 16]: with light pixels and little contrast."""
    return pictures()[3:4, :, 8:24, 8:24] + 90


def nearest_of(results: Mapping[bytes, object], images: torch.Tensor) -> Any:
    """Return distance and index of the nearest of some images, as bytes, to each of others in [0, 1]."""
    keys = torch.stack([torch.frombuffer(bytearray(key), dtype=torch.uint8) for key in results]).float()
    return (torch.cdist(images.flatten(1) * 255, keys, p=1) / keys.shape[1]).min(1)


@pytest.mark.parametrize(("levels", "reference"), [(10, Reference()), (31, RandReference())])
def test_magnitudes_of_all_levels_are_those_of_torchvision(levels: int, reference: torch.nn.Module) -> None:
    space = reference._augmentation_space(levels, (32, 32))
    for name, (values, signed) in space.items():
        assert signed == (name in BOTH_WAYS)
        if values.dim():
            unit = {"TranslateX": 32, "TranslateY": 32, "Solarize": 255}.get(name, 1)
            ours = [magnitude(name, level, levels) * unit for level in range(levels)]
            assert ours == pytest.approx(values.tolist(), abs=1e-4)


def test_the_policy_is_that_of_the_paper() -> None:
    numbers, chances, magnitudes = cifar_policy()
    assert numbers.shape == (25, 2)
    # The first row of the table: invert with 0.1, and contrast with 0.2 of level 6.
    assert [NAMES[n] for n in numbers[0]] == ["Invert", "Contrast"]
    assert chances[0].tolist() == pytest.approx([0.1, 0.2])
    assert float(magnitudes[0, 1]) == pytest.approx(0.9 * 6 / 9)


def test_an_image_gets_both_operations_of_a_pair_or_one_or_none() -> None:
    """Each result is one that torchvision's operations give for a pair, with either sign."""
    image = small()
    numbers, chances, magnitudes = cifar_policy()
    possible: dict[bytes, float] = {}
    for pair in range(25):
        for applied in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = 1.0
            for turn, is_on in enumerate(applied):
                chance = float(chances[pair, turn])
                share *= chance if is_on else 1 - chance
            for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                changed = image[0]
                for turn, is_on in enumerate(applied):
                    name = NAMES[int(numbers[pair, turn])]
                    sign = signs[turn] if name in BOTH_WAYS else 1
                    changed = one(changed, name, sign * float(magnitudes[pair, turn])) if is_on else changed
                key = changed.numpy().tobytes()
                possible[key] = possible.get(key, 0.0) + share / 4 / 25
    assert sum(possible.values()) == pytest.approx(1)
    nearest = nearest_of(possible, AutoAugment().apply(image.expand(2000, -1, -1, -1) / 255, generator(4)))
    # Rounding to bytes between two operations moves a few grey levels.
    assert float((nearest.values < 6).float().mean()) > 0.97
    seen = nearest.indices.bincount(minlength=len(possible))
    common = torch.tensor(list(possible.values())) > 0.01
    assert_distributed([*seen[common].tolist(), int(seen[~common].sum())],
                       [*torch.tensor(list(possible.values()))[common].tolist(),
                        sum(share for share in possible.values() if share <= 0.01)], level=1e-6)  # fmt: skip


def test_cutout_adds_a_black_square() -> None:
    images = torch.full((64, 3, 32, 32), 0.5)
    plain, with_square = (AutoAugment(cutout=flag).apply(images, generator(5)) for flag in (False, True))
    changed = (plain != with_square).any(1)
    assert bool((with_square.amax(1)[changed] == 0).all())
    assert int(changed.sum((1, 2)).max()) == 256


def test_randaugment_of_level_0_only_changes_tone_and_range() -> None:
    """Without magnitude, what is left of 14 operations is auto contrast, equalisation and no solarising."""
    image = small() / 255
    drawn = RandAugment(operations=1, level=0).apply(image.expand(700, -1, -1, -1), generator(6))
    same = ((drawn - image).abs().amax((1, 2, 3)) < 1e-3).float().mean()
    assert float(same) == pytest.approx(12 / 14, abs=0.03)


def test_randaugment_draws_each_of_14_operations_alike() -> None:
    image = small()
    names = [name for name in NAMES if name != "Invert"]
    results = {}
    for name in names:
        for sign in (1, -1) if name in BOTH_WAYS else (1,):
            results[one(image[0], name, sign * magnitude(name, 9, 31)).numpy().tobytes()] = name
    nearest = nearest_of(results, RandAugment(operations=1).apply(image.expand(1400, -1, -1, -1) / 255, generator(7)))
    assert float(nearest.values.max()) < 6
    found = [list(results.values())[index] for index in nearest.indices]
    assert_distributed([found.count(name) for name in names], [1 / 14] * 14)


def test_randaugment_applies_as_many_operations_as_asked_in_either_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, float]] = []

    def recorded(
        images: torch.Tensor, number: torch.Tensor, strength: torch.Tensor, operations: object
    ) -> torch.Tensor:
        drawn.extend(zip(number.tolist(), strength.tolist(), strict=True))
        return images

    monkeypatch.setattr("ltbench_plugins.augments.randaugment.apply_each", recorded)
    RandAugment(operations=3, level=15).apply(torch.zeros(500, 3, 4, 4), generator(8))
    assert len(drawn) == 3 * 500
    names = [name for name in NAMES if name != "Invert"]
    for name, most in (("ShearX", 0.15), ("Rotate", 15.0), ("Color", 0.45)):
        of_name = [strength for number, strength in drawn if names[number] == name]
        assert {round(abs(strength), 5) for strength in of_name} == {most}, "half of the range at level 15 of 30"
        assert_distributed([sum(s > 0 for s in of_name), sum(s < 0 for s in of_name)], [0.5, 0.5])
    assert {strength for number, strength in drawn if names[number] == "Solarize"} == {0.5}


test_randaugment_conforms = checks(RandAugment(operations=3, level=30))
