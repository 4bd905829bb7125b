"""Magnitudes of AutoAugment's and RandAugment's operations by level, as in torchvision, and AutoAugment's policy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ltbench_plugins.augments._operations import OPERATIONS

if TYPE_CHECKING:
    from torch import Tensor

NAMES = tuple(OPERATIONS)
BOTH_WAYS = frozenset(
    {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}
)
"""Operations whose magnitude has a random sign."""
_LARGEST = {
    "ShearX": 0.3, "ShearY": 0.3, "TranslateX": 150 / 331, "TranslateY": 150 / 331, "Rotate": 30.0,
    "Brightness": 0.9, "Color": 0.9, "Contrast": 0.9, "Sharpness": 0.9,
}  # fmt: skip


def magnitude(name: str, level: int, levels: int) -> float:
    """Return the magnitude of an operation at a level from 0 to `levels` - 1, without sign."""
    share = level / (levels - 1)
    if name == "Posterize":
        return 8.0 - round(4 * share)
    return 1 - share if name == "Solarize" else _LARGEST.get(name, 0.0) * share


@cache
def cifar_policy() -> tuple[Tensor, Tensor, Tensor]:
    """Return the 25 pairs of operations for CIFAR-10: their numbers, probabilities and magnitudes, each [25, 2]."""
    import torch
    from torchvision.transforms import AutoAugment, AutoAugmentPolicy

    pairs = AutoAugment(AutoAugmentPolicy.CIFAR10).policies
    numbers = [[NAMES.index(name) for name, _, _ in pair] for pair in pairs]
    chances = [[chance for _, chance, _ in pair] for pair in pairs]
    magnitudes = [[magnitude(name, level or 0, 10) for name, _, level in pair] for pair in pairs]
    return torch.tensor(numbers), torch.tensor(chances), torch.tensor(magnitudes)
