"""Mixup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, NotTuned, Tune, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.mixes._blend import Blend

if TYPE_CHECKING:
    from torch import Generator, Tensor

_ALPHA = 0.4


class Mixup(Blend, frozen=True):
    """Blend each image, and its loss, with another one of the batch.

        image = lam * image_a + (1 - lam) * image_b,   loss = lam * loss(label_a) + (1 - lam) * loss(label_b)

    Partners come from a random permutation of the batch. `lam` is drawn per image from Beta(alpha, alpha), unless a fixed
    value is given. With `per_batch` all images of a batch share one draw, as in the authors' code and most papers.

    Report schmidt states that "the optimal value for lambda appears to be 0.4", which may mean the alpha of the Beta
    distribution (`mixup`, the default, as in the paper) or a fixed share (`mixup[lam=0.4]`). The two differ:
    Beta(0.4, 0.4) leaves most images almost unblended, a fixed 0.4 blends every image strongly.

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, section 2; report schmidt, "Data Augmenting
    with MixUp".
    """

    name = "mixup"

    alpha: Annotated[
        float, Meta(gt=0, description="lam is drawn from Beta(alpha, alpha)"), Tune(0.1, 2.0, log=True)
    ] = _ALPHA
    lam: (
        Annotated[
            float,
            Meta(ge=0, le=1, description="a fixed share of the first image, instead of alpha"),
            NotTuned("takes the place of alpha, which is tuned"),
        ]
        | None
    ) = None

    def check(self) -> None:
        if self.lam is not None and self.alpha != _ALPHA:
            raise ParameterError("mix 'mixup' takes alpha or lam, not both: a fixed lam leaves nothing to draw")

    def without_effect(self) -> tuple[str, ...]:
        return () if self.lam is None else ("per_batch",)

    def shares(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the share of each image, float [B]."""
        if self.lam is not None:
            return images.new_full((len(images),), self.lam)
        return super().shares(images, generator)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Mixup]
