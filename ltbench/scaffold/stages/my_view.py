"""Shifted views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, View, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray
    from torch import Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyView(View, frozen=True):
    """Predict the image and two shifted copies, and average the three predictions.

    Pixels that leave the image on one side enter on the other.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_view"

    shift: Annotated[int, Meta(ge=1, description="pixels by which the image is shifted"), Tune(1, 4)] = 1

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the views. images: float [B, channels, size, size], normalised."""
        return {
            "identity": lambda images: images,
            "left": lambda images: images.roll(-self.shift, -1),
            "right": lambda images: images.roll(self.shift, -1),
        }

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [3, N, C]: the mean of the softmax outputs."""
        import numpy as np

        # Subtracting the largest logit keeps the exponential function from overflowing.
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        mean: FloatArray = (powers / powers.sum(-1, keepdims=True)).mean(0)
        return mean


@hookimpl
def ltbench_views() -> list[type[View]]:
    return [MyView]
