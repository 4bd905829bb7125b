"""Manifold mixup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, hookimpl
from ltbench_plugins.mixes._draws import beta

if TYPE_CHECKING:
    from torch import Generator, Tensor


class ManifoldMixup(Mix, frozen=True):
    """Mixup of the images, or of the output of a random block of the network.

    Each step draws a place: the images, or the output of any block but the last. There, each row of the batch is blended
    with another one, `lam g_k(x) + (1 - lam) g_k(x')`, and so is its loss, with one lam of Beta(alpha, alpha) for the
    batch. The rest of the network runs on the blends. `per_batch = false` draws one lam for each image.

    The paper draws from the images and the first two blocks of a residual network; here, blocks are those that the
    model names, such as the stem and the first two of the three stages of resnet32.

    Source: Verma et al., Manifold Mixup: Better Representations by Interpolating Hidden States, ICML 2019, equation 1;
    alpha = 2 as in section 5.1.
    """

    name = "manifold_mixup"
    where = "hidden"

    alpha: Annotated[float, Meta(gt=0, description="lam is drawn from Beta(alpha, alpha)")] = 2.0
    per_batch: Annotated[bool, Meta(description="draw one lam for all images of a batch, instead of one for each")] = (
        True
    )

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch or the output of a block. images: float [B, ...]; labels: int64 [B]; lam: float32 [B]."""
        import torch

        partner = torch.randperm(len(images), generator=generator, device=images.device)
        lam = beta(self.alpha, 1 if self.per_batch else len(images), generator, images.device).expand(len(images))
        # A lerp is exact at both ends. The share of the loss stays in float32, also where a block computes in bfloat16.
        share = lam.to(images.dtype).view(-1, *[1] * (images.dim() - 1))
        return Mixed(images=images[partner].lerp(images, share), labels_a=labels, labels_b=labels[partner], lam=lam)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [ManifoldMixup]
