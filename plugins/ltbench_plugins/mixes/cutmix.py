"""CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.mixes._boxes import paste, shares

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Cutmix(Mix, frozen=True):
    """Paste a random box of another image of the batch into each image, and blend their losses by area.

    The partner is the image at the same place of a random permutation of the batch. For each image by itself a share
    is drawn from Beta(alpha, alpha), or is `lam` everywhere where that is given; the box has sides of sqrt(1 - share)
    of the image's, its centre anywhere. It is cut off at the border, and the share of label a is then the share of
    pixels that really are of the image itself.

    Report schmidt gives the share of the pasted patch in the text (sides of sqrt(lambda)) and the paper's formula in
    its figure (sides of sqrt(1 - lambda)); this is the paper's. It leaves open which alpha its "equal beta
    distribution" had: the default 1 is the paper's, with every share equally likely.

    Source: Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features, 2019,
    equations 1 and 2; report schmidt, "Data Augmenting with CutMix".
    """

    name = "cutmix"

    alpha: Annotated[float, Meta(gt=0, description="the share is drawn from Beta(alpha, alpha) for each image")] = 1.0
    lam: Annotated[float, Meta(ge=0, le=1, description="a fixed share of the first image instead")] | None = None

    def check(self) -> None:
        if self.lam is not None and self.alpha != 1:
            raise ParameterError(f"mix '{self.name}' takes alpha or lam, not both: a fixed lam leaves nothing to draw")

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend. images: float [B, channels, size, size]; labels: int64 [B]; the result's lam: float [B]."""
        import torch

        partner = torch.randperm(len(images), generator=generator, device=images.device)
        keep = shares(images, self.alpha, self.lam, generator)
        blended, kept = paste(images, partner, keep, generator)
        return Mixed(images=blended, labels_a=labels, labels_b=labels[partner], lam=kept)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Cutmix]
