"""Two images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyMix(Mix, frozen=True):
    """Keep the left part of each image and take the right part from another image of the batch.

    The partner comes from a random permutation of the batch. The fraction of columns that an image keeps is drawn uniformly
    from [`least`, 1] for each image, and is the weight of its own label in the loss.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_mix"

    least: Annotated[
        float, Meta(ge=0, le=1, description="smallest fraction of columns that an image keeps"), Tune(0.25, 0.75)
    ] = 0.5

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size]; labels: int64 [B]; counts: int64 [C]; lam: float [B]."""
        import torch

        width = images.shape[-1]
        partner = torch.randperm(len(images), generator=generator, device=images.device)
        share = images.new_empty(len(images)).uniform_(self.least, 1, generator=generator)
        kept = (share * width).round()
        column = torch.arange(width, device=images.device)
        own = (column < kept[:, None])[:, None, None, :]
        blended = images.where(own, images[partner])
        return Mixed(images=blended, labels_a=labels, labels_b=labels[partner], lam=kept / width)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [MyMix]
