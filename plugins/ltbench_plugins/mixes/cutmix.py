"""CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Mix, Mixed, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.mixes._boxes import Alpha, FixedShare, paste, shares

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Cutmix(Mix, frozen=True):
    """Paste a random box of another image into each image, and weigh their losses by area.

    Partners come from a random permutation of the batch. The share that an image keeps is drawn from Beta(alpha, alpha),
    or is `lam` for all images. The sides of the box are sqrt(1 - share) times those of the image; its centre is uniform.
    The box is clipped at the border, and the weight of label a is the actual fraction of the image's own pixels.

    Report schmidt defines lambda as the share of the pasted patch in its text (sides sqrt(lambda)) and as in the paper
    in its figure (sides sqrt(1 - lambda)); this implementation follows the paper. The alpha of its "equal beta
    distribution" is not stated: the default of 1 is that of the paper, a uniform distribution.

    Source: Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features, 2019,
    equations 1 and 2; report schmidt, "Data Augmenting with CutMix".
    """

    name = "cutmix"

    alpha: Alpha = 1.0
    lam: FixedShare | None = None

    def check(self) -> None:
        if self.lam is not None and self.alpha != 1:
            raise ParameterError(f"mix '{self.name}' takes alpha or lam, not both: a fixed lam leaves nothing to draw")

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size]; labels: int64 [B]; the result's lam: float [B]."""
        import torch

        partner = torch.randperm(len(images), generator=generator, device=images.device)
        keep = shares(images, self.alpha, self.lam, generator)
        blended, kept = paste(images, images[partner], keep, generator)
        return Mixed(images=blended, labels_a=labels, labels_b=labels[partner], lam=kept)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Cutmix]
