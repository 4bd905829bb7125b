"""Shifted views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, View, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray
    from torch import Tensor

LTBENCH_API = 1  # the version of ltbench's hooks that this module is written for


class MyView(View, frozen=True):
    """The image as it is and shifted to either side, with the mean of the three predictions.

    What is shifted out on one side comes in on the other one.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_view"

    shift: Annotated[int, Meta(ge=1, description="pixels by which the image is shifted")] = 1

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

        # The largest logit is taken off, so that the exponential function does not overflow.
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        mean: FloatArray = (powers / powers.sum(-1, keepdims=True)).mean(0)
        return mean


@hookimpl
def ltbench_views() -> list[type[View]]:
    return [MyView]
