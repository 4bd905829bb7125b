"""After training: views of test images, adjustments of logits, ensembles, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ltbench.columns import Column
from ltbench.technique import Technique

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    FloatArray = npt.NDArray[np.floating[Any]]
    IntArray = npt.NDArray[np.int64]


class View(Technique, frozen=True):
    """Test-time augmentation: views of a test image, and how to merge their predictions."""

    stage: ClassVar[str] = "view"

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the views by name: deterministic functions of images float [B, channels, size, size] to the same shape.

        The view `identity` is the unchanged image; all techniques share its predictions.
        """
        raise NotImplementedError

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [views, N, C], in the order of `views`."""
        raise NotImplementedError


class LinearClassifier(msgspec.Struct, frozen=True):
    """Properties of the linear layer behind the logits: `logits = features @ weights.T + bias`."""

    norms: Any
    """float [C]: the Euclidean norm of the weights of each class"""
    bias: Any
    """float [C]: zeros if the layer has none"""


class Posthoc(Technique, frozen=True):
    """An adjustment of the logits of a trained classifier, without training."""

    stage: ClassVar[str] = "posthoc"

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return adjusted logits of the same shape. logits: float [N, C]; counts: int64 [C]."""
        raise NotImplementedError

    def adjust_linear(self, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None) -> FloatArray:
        """Adjust with access to the classifier. The harness calls this method, which by default calls `adjust`.

        classifier: None if the network does not end with a linear layer.
        """
        return self.adjust(logits, counts)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an ensemble: the training of the cell with these changes."""

    model: str = ""
    """A model, in command-line notation; empty for that of the cell."""
    bag: int | None = None
    """Number of the bag to train on; None for the whole training subset."""
    seed_offset: int = 0
    """Added to the training seed; with 0, the member shares the fit of the cell without ensemble."""
    until: float | None = None
    """Where its training ends, as a fraction of the recipe's length: a point of the cell's training, which goes on. Inside a
    phase that restarts there is no such point but its end."""
    techniques: tuple[str, ...] = ()
    """Techniques of stages up to the regime, in command-line notation, that replace those of the cell; the baseline of a
    stage switches that of the cell off."""


class Ensemble(Technique, frozen=True):
    """The members of a cell, and how to merge their predictions."""

    stage: ClassVar[str] = "ensemble"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        """Return the members for these class counts."""
        raise NotImplementedError

    def bag(self, number: int, labels: IntArray, rng: np.random.Generator) -> IntArray:
        """Return the indices of bag `number` into the training subset. labels: int64 [N].

        `rng` starts in the same state for every bag of a training.
        """
        raise NotImplementedError

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from those of the members, float [members, N, C]."""
        raise NotImplementedError


class Metric(Technique, frozen=True):
    """Numbers computed from predictions."""

    stage: ClassVar[str] = "metric"
    columns: ClassVar[tuple[Column, ...]] = ()
    """How numbers are shown, in this order; numbers without a column are only exported."""

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        """Return numbers by name: floats, lists with one number per class, nested lists; None if undefined.

        probabilities: float [N, C]; labels: int64 [N]; counts: int64 [C] of the training subset.
        """
        raise NotImplementedError
