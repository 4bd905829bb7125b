"""AutoAugment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, Tune, hookimpl
from ltbench_plugins.augments._operations import OPERATIONS, apply_each
from ltbench_plugins.augments._policies import BOTH_WAYS, NAMES, cifar_policy
from ltbench_plugins.augments._square import cut_out

if TYPE_CHECKING:
    from torch import Generator, Tensor


class AutoAugment(Augment, frozen=True):
    """Apply one of 25 pairs of operations, learnt on CIFAR-10, after the augmentation of the data set.

    Each image draws a pair; each of its two operations is applied with its own probability and magnitude, shears,
    translations, rotations and colour changes in a random direction. Pixels from outside the image are black.

    `cutout = true` also paints a square of half the side black (see `cutout`), as BCL, PaCo and ProCo do for the view that
    is classified, and as the paper does on CIFAR.

    An augmented protocol is another protocol: published rows with AutoAugment are no reference for rows without it.

    Source: Cubuk et al., AutoAugment: Learning Augmentation Strategies from Data, CVPR 2019, the policy for
    CIFAR-10 in its appendix; magnitudes as in torchvision.
    """

    name = "autoaugment"
    follows = True

    cutout: Annotated[
        bool, Meta(description="whether a square of half the side is then painted black"), Tune(False, True)
    ] = False

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1]."""
        import torch

        device = images.device
        numbers, chances, magnitudes = (table.to(device) for table in cifar_policy())
        signed = torch.tensor([name in BOTH_WAYS for name in NAMES], device=device)
        pair = torch.randint(len(numbers), (len(images),), generator=generator, device=device)
        applied, up = torch.rand(2, 2, len(images), generator=generator, device=device)
        for turn in range(2):
            number = numbers[pair, turn]
            magnitude = magnitudes[pair, turn]
            magnitude = magnitude.where(~signed[number] | (up[turn] < 0.5), -magnitude)
            # Operation 0 is the identity.
            number = number.where(applied[turn] < chances[pair, turn], 0)
            images = apply_each(images, number, magnitude, tuple(OPERATIONS.values()))
        return cut_out(images, 0.5, 0.0, generator) if self.cutout else images


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [AutoAugment]
