"""Test-time augmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Meta, Tune, View, hookimpl
from ltbench_plugins.views._softmax import softmax

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench.stages import FloatArray


class Tta(View, frozen=True):
    """Merge the predictions for the image and its mirror image.

    There are two views of each test image: unchanged, and flipped left to right, the only flip that helped in report
    schmidt. Predictions are merged in one of two ways:

        merge_by = "mean"  the mean of the two softmax outputs (the default)
        merge_by = "vote"  each view votes for its best class, as in the report

    If the views disagree, the vote is a tie and goes to the class with the larger mean probability. "vote" returns
    (votes + mean probability) / (views + 1), which sums to one and is largest for the winner, but is not a calibrated
    probability.

    Source: report schmidt, "Data Augmenting with TTA"; Krizhevsky et al., ImageNet Classification with Deep
    Convolutional Neural Networks, 2012, section 4.1 (predictions averaged over crops and mirror images).
    """

    name = "tta"

    merge_by: Annotated[
        Literal["mean", "vote"], Meta(description="mean of probabilities, or majority vote"), Tune("mean", "vote")
    ] = "mean"

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the two views. images: float [B, channels, size, size], normalised."""
        return {"identity": lambda images: images, "mirror": lambda images: images.flip(-1)}

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [2, N, C]."""
        probabilities = softmax(logits)
        mean: FloatArray = probabilities.mean(0)
        if self.merge_by == "mean":
            return mean
        best = probabilities.argmax(-1)[..., None]
        votes = (best == range(logits.shape[-1])).sum(0)
        shares: FloatArray = (votes + mean) / (len(logits) + 1)
        return shares


@hookimpl
def ltbench_views() -> list[type[View]]:
    return [Tta]
