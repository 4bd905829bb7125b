"""Weighted means of pairs of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, Tune
from ltbench_plugins.mixes._beta import draw_beta

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Blend(Mix, frozen=True):
    """Each image is blended with another one of the batch, `lam * image_a + (1 - lam) * image_b`.

    Partners come from a random permutation of the batch. `lam` is drawn from Beta(alpha, alpha).
    """

    alpha: Annotated[
        float, Meta(gt=0, description="lam is drawn from Beta(alpha, alpha)"), Tune(0.2, 2.0, log=True)
    ] = 1.0
    per_batch: Annotated[bool, Meta(description="draw one lam for all images of a batch, instead of one for each")] = (
        False
    )

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size]; labels: int64 [B]; the result's lam: float [B]."""
        partner = self.partners(labels, counts, generator)
        return self.blended(images, labels, images[partner], labels[partner], counts, generator)

    def blended(
        self, images: Tensor, labels: Tensor, others: Tensor, of_others: Tensor, counts: Tensor, generator: Generator
    ) -> Mixed:
        """Blend images, or outputs of a block, float [B, ...], with others. labels, of_others: int64 [B]."""
        present = counts.clamp(min=1).float()
        own, other = present[labels], present[of_others]
        lam = self.image_shares(self.shares(images, generator), own, other)
        # A lerp is exact at both ends: lam = 1 gives bit-identical images. A block may compute in bfloat16.
        share = lam.to(images.dtype).view(-1, *[1] * (images.dim() - 1))
        return Mixed(
            images=others.lerp(images, share),
            labels_a=labels,
            labels_b=of_others,
            lam=self.label_shares(lam, own, other),
        )

    def partners(self, labels: Tensor, counts: Tensor, generator: Generator) -> Tensor:
        """Return the partner of each image, int64 [B]; by default a random permutation of the batch."""
        import torch

        return torch.randperm(len(labels), generator=generator, device=labels.device)

    def shares(self, images: Tensor, generator: Generator) -> Tensor:
        """Draw from Beta(alpha, alpha) for each image, float32 [B]."""
        drawn = draw_beta(self.alpha, 1 if self.per_batch else len(images), images, generator)
        return drawn.expand(len(images))

    def image_shares(self, lam: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Return the share of each image in its blend, float [B]; by default the draw.

        lam: float [B], drawn; own, other: float [B], training images of the class of the image and of its partner.
        """
        return lam

    def label_shares(self, lam: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Return the weight of the label of each image, float [B]; by default the share of the image.

        lam: float [B], that share; own, other: as for `image_shares`.
        """
        return lam
