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
    """The test image as it is.

    The baseline of the stage: one look at each test image, probabilities by softmax.

    Source: none; it is what test-time augmentation is compared with.
    """

    name = "identity"
    baseline = True

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the one view that every technique shares."""
        return {"identity": lambda images: images}

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [1, N, C]."""
        return softmax(logits[0])


@hookimpl
def ltbench_views() -> list[type[View]]:
    return [Identity]
