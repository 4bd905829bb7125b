"""RandAugment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, Tune, hookimpl
from ltbench_plugins.augments._operations import OPERATIONS, apply_each
from ltbench_plugins.augments._policies import BOTH_WAYS, NAMES, magnitude

if TYPE_CHECKING:
    from torch import Generator, Tensor

_LEVELS = 31
_DRAWN = tuple(name for name in NAMES if name != "Invert")
"""The 14 operations of the paper, one of them the identity."""


class RandAugment(Augment, frozen=True):
    """Apply random operations of one magnitude, after the augmentation of the data set.

    Each image draws `operations` of 14 operations uniformly, with replacement, and applies them in this order, shears,
    translations, rotations and colour changes in a random direction. Pixels from outside the image are black.

    An augmented protocol is another protocol: published rows with RandAugment are no reference for rows without it.

    Source: Cubuk et al., RandAugment: Practical Automated Data Augmentation with a Reduced Search Space, NeurIPS 2020,
    figure 2; the defaults, 2 operations of level 9 of 30, and the magnitudes are those of torchvision.
    """

    name = "randaugment"
    follows = True

    operations: Annotated[int, Meta(ge=1, le=10, description="operations for each image"), Tune(1, 3)] = 2
    level: Annotated[int, Meta(ge=0, le=_LEVELS - 1, description="strength of all operations, of 30"), Tune(2, 14)] = 9

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1]."""
        import torch

        device, shape = images.device, (self.operations, len(images))
        largest = torch.tensor([magnitude(name, self.level, _LEVELS) for name in _DRAWN], device=device)
        signed = torch.tensor([name in BOTH_WAYS for name in _DRAWN], device=device)
        numbers = torch.randint(len(_DRAWN), shape, generator=generator, device=device)
        up = torch.rand(shape, generator=generator, device=device) < 0.5
        magnitudes = largest[numbers].where(~signed[numbers] | up, -largest[numbers])
        for number, strength in zip(numbers, magnitudes, strict=True):
            images = apply_each(images, number, strength, tuple(OPERATIONS[name] for name in _DRAWN))
        return images


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [RandAugment]
