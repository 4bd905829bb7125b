"""Manifold mixup."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, Mix, Tune, hookimpl
from ltbench_plugins.mixes._blend import Blend


class ManifoldMixup(Blend, frozen=True):
    """Mixup of the images, or of the output of a random block of the network.

    Each step draws a place: the images, or the output of any block but the last. There, each row of the batch is blended
    with another one, `lam g_k(x) + (1 - lam) g_k(x')`, and so is its loss, with one lam of Beta(alpha, alpha) for the
    batch. The rest of the network runs on the blends. `per_batch = false` draws one lam for each image.

    The paper draws from the images and the first two blocks of a residual network; here, blocks are those that the
    model names, such as the stem and the first two of the three stages of resnet32.

    Source: Verma et al., Manifold Mixup: Better Representations by Interpolating Hidden States, ICML 2019, equation 1;
    alpha = 2 as in its experiments on CIFAR.
    """

    name = "manifold_mixup"
    where = "hidden"

    alpha: Annotated[
        float, Meta(gt=0, description="lam is drawn from Beta(alpha, alpha)"), Tune(0.5, 4.0, log=True)
    ] = 2.0
    per_batch: Annotated[bool, Meta(description="draw one lam for all images of a batch, instead of one for each")] = (
        True
    )


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [ManifoldMixup]
