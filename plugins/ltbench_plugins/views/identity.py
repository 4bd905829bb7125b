"""The plain view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ltbench import View, hookimpl
from ltbench_plugins.views._softmax import softmax

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench.stages import FloatArray


class Identity(View, frozen=True):
    """Predict the unchanged test image.

    The baseline of the stage: one view per test image; probabilities by softmax.

    Source: none; it is the reference for test-time augmentation.
    """

    name = "identity"
    baseline = True

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the view that all techniques share."""
        return {"identity": lambda images: images}

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [1, N, C]."""
        return softmax(logits[0])


@hookimpl
def ltbench_views() -> list[type[View]]:
    return [Identity]
