"""Whether an augmentation is applied after that of the data set or instead of it."""

from __future__ import annotations

import inspect

import pytest

from ltbench import Augment
from ltbench_plugins.augments import (
    autoaugment,
    crop_flip,
    cuda,
    cutout,
    flip,
    jiang_augment,
    no_augment,
    randaugment,
    simaugment,
)

AFTER = "after the augmentation of the data set"
INSTEAD = "instead of the augmentation of the data set"


@pytest.mark.parametrize(
    ("augment", "follows"),
    [
        (autoaugment.AutoAugment(), True),
        (randaugment.RandAugment(), True),
        (cutout.Cutout(), True),
        (cuda.Cuda(), True),
        (simaugment.SimAugment(), False),
        (crop_flip.CropFlip(), False),
        (flip.Flip(), False),
        (jiang_augment.JiangAugment(), False),
        (no_augment.NoAugment(), False),
    ],
    ids=lambda value: value.name if isinstance(value, Augment) else "",
)
def test_an_augmentation_follows_or_replaces_that_of_the_data_set_and_says_so(augment: Augment, follows: bool) -> None:
    assert augment.follows is follows
    said = " ".join((inspect.getdoc(type(augment)) or "").split())
    assert (AFTER in said, INSTEAD in said) == (follows, not follows)
