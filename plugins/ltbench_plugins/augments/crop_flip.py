"""Crop and flip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, NotTuned, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class CropFlip(Augment, frozen=True):
    """Pad with black, crop to the original size at a random position, mirror at random.

    It is the default of the CIFAR data sets; selected, it is applied instead of the augmentation of the data set.

    Position and mirroring are drawn per image. `prepare` stores every padded image and its mirror image as bytes; a batch
    is one indexed read of a strided view of all crops, without copying them. This takes 2 (size + 2 padding)^2 bytes per
    image and channel, half of that with flip = 0.

    Source: the standard augmentation of CIFAR, He et al., Deep Residual Learning for Image Recognition, 2016, section
    4.2.
    """

    name = "crop_flip"

    padding: Annotated[int, Meta(ge=0, description="black pixels added on each side"), Tune(2, 8)] = 4
    flip: Annotated[
        float,
        Meta(ge=0, le=1, description="probability of the mirror image"),
        NotTuned("an image is as likely as its mirror image"),
    ] = 0.5

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size]."""
        import torch

        return self.crops(self.prepare(images), torch.arange(len(images), device=images.device), generator)

    def prepare(self, images: Tensor) -> Tensor:
        """Return a view of every crop of every image: [N, sides, rows, columns, channels, size, size]."""
        import torch

        size = images.shape[-1]
        padded = torch.nn.functional.pad(images, (self.padding,) * 4)
        sides = torch.stack([padded, padded.flip(-1)] if self.flip else [padded], dim=1)
        return sides.unfold(3, size, 1).unfold(4, size, 1).permute(0, 1, 3, 4, 2, 5, 6)

    def batch(self, prepared: Tensor, indices: Tensor, generator: Generator) -> Tensor:
        """Return random crops of the images at `indices`, float [B, channels, size, size] in [0, 1]."""
        return self.crops(prepared, indices, generator).float().mul_(1 / 255)

    def crops(self, prepared: Tensor, indices: Tensor, generator: Generator) -> Tensor:
        """Return a random crop of each image at `indices`, in the dtype and range of `prepared`."""
        import torch

        top, left = indices.new_empty(2, len(indices)).random_(prepared.shape[2], generator=generator)
        mirrored = torch.rand(len(indices), generator=generator, device=indices.device) < self.flip
        return prepared[indices, mirrored.long(), top, left]


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [CropFlip]
