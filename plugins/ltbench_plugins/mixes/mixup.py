"""Mixup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, hookimpl
from ltbench.errors import ParameterError

if TYPE_CHECKING:
    from torch import Generator, Tensor

_ALPHA = 0.4


class Mixup(Mix, frozen=True):
    """Blend each image, and its loss, with another one of the batch.

        image = lam * image_a + (1 - lam) * image_b,   loss = lam * loss(label_a) + (1 - lam) * loss(label_b)

    Partners come from a random permutation of the batch. `lam` is drawn per image from Beta(alpha, alpha), unless a fixed
    value is given.

    Report schmidt states that "the optimal value for lambda appears to be 0.4", which may mean the alpha of the Beta
    distribution (`mixup`, the default, as in the paper) or a fixed share (`mixup[lam=0.4]`). The two differ:
    Beta(0.4, 0.4) leaves most images almost unblended, a fixed 0.4 blends every image strongly.

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, section 2; report schmidt, "Data Augmenting
    with MixUp".
    """

    name = "mixup"

    alpha: Annotated[float, Meta(gt=0, description="lam is drawn from Beta(alpha, alpha) for each image")] = _ALPHA
    lam: Annotated[float, Meta(ge=0, le=1, description="a fixed share of the first image, instead of alpha")] | None = (
        None
    )

    def check(self) -> None:
        if self.lam is not None and self.alpha != _ALPHA:
            raise ParameterError("mix 'mixup' takes alpha or lam, not both: a fixed lam leaves nothing to draw")

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size]; labels: int64 [B]; the result's lam: float [B]."""
        import torch

        partner = torch.randperm(len(images), generator=generator, device=images.device)
        lam = self.shares(images, generator)
        return Mixed(
            # A lerp is exact at both ends: lam = 1 gives bit-identical images.
            images=images[partner].lerp(images, lam[:, None, None, None]),
            labels_a=labels,
            labels_b=labels[partner],
            lam=lam,
        )

    def shares(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the share of each image, float [B]."""
        import numpy as np
        import torch

        if self.lam is not None:
            return images.new_full((len(images),), self.lam)
        # torch draws Beta only from its global state; numpy is also exact for tiny alpha.
        seed = int(torch.randint(1 << 62, (), generator=generator, device=images.device))
        return images.new_tensor(np.random.default_rng(seed).beta(self.alpha, self.alpha, len(images)))


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Mixup]
