"""UniMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, NotTuned, Told, Tune, hookimpl
from ltbench_plugins.mixes._blend import Blend

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Unimix(Blend, frozen=True):
    """Mixup with more partners and larger shares of rare classes.

    For classes i and j of an image and its partner, with n_i and n_j training images, the share of the image is a draw
    from Beta(alpha, alpha) plus `n_j / (n_i + n_j)`, minus 1 if that is above 1. With alpha below 1 most draws are near
    0 or 1, and so most shares near the ratio: a rare image keeps most of a blend with a frequent one.

    Partners come from a second stream, in which classes are drawn in proportion to the inverse of their size (sampler
    `reverse`). The authors' code draws them from the batch instead, with replacement, each image with a probability
    proportional to `n_c ** tau` of its class; `tau = -0.1` is its value for CIFAR-100-LT, -0.5 for CIFAR-10-LT. Its
    alpha is the default. The share of the image is also the weight of its label.

    Source: Xu, Chai and Yuan, Towards Calibrated Model for Long-Tailed Visual Recognition from Prior Perspective,
    NeurIPS 2021, section 3 (UniMix factor and UniMix sampler), and its code.
    """

    name = "unimix"

    alpha: Annotated[float, Meta(gt=0, description="the draw is from Beta(alpha, alpha)"), Tune(0.2, 2.0, log=True)] = (
        0.8
    )
    tau: (
        Annotated[
            float,
            Meta(ge=-2, le=0, description="partners of the batch, by this power of the class count"),
            NotTuned("belongs to the form of the authors' code"),
        ]
        | None
    ) = None

    @property
    def partner(self) -> str:  # type: ignore[override]
        return "reverse" if self.tau is None else ""

    def blend(self, images: Tensor, told: Told, generator: Generator) -> Mixed:
        """Blend a batch with the second stream, or with itself. images: float [B, channels, size, size]."""
        other = told.partner
        if other is None:
            return self.mix(images, told.labels, told.counts, generator)
        return self.blended(images, told.labels, other.images, other.labels, told.counts, generator)

    def partners(self, labels: Tensor, counts: Tensor, generator: Generator) -> Tensor:
        """Return the partner of each image, int64 [B], with replacement."""
        import torch

        chance = counts.clamp(min=1).double()[labels] ** (self.tau or 0.0)
        return torch.multinomial(chance, len(labels), replacement=True, generator=generator)

    def image_shares(self, lam: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Return the share of each image in its blend, float [B]."""
        shifted = lam + other / (own + other)
        return shifted.where(shifted <= 1, shifted - 1)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Unimix]
