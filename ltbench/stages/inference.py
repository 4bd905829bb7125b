"""After training: views of test images, adjustments of logits, ensembles, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from ltbench.columns import Column
from ltbench.technique import Technique

if TYPE_CHECKING:
    from typing import Self

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
    weights: Any = None
    """float [C, D]; only for a posthoc whose evidence has features"""


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What a network returns for N images, under one view of them."""

    logits: Any
    """float [N, C]"""
    features: Any = None
    """float [N, D], what the classifier is given; only for a posthoc whose evidence has features"""
    labels: Any = None
    """int64 [N]; None for images that are to be classified"""
    classes: tuple[str, ...] = ()
    """The names of the classes, [C]; empty where they are not known"""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a posthoc is fitted to. It never contains a test image."""

    counts: Any
    """int64 [C], of the training images"""
    classifier: LinearClassifier | None
    """None if the network does not end with a linear layer"""
    held_out: Predicted | None = None
    """The held-out images, with labels; None if the posthoc does not ask for them"""
    train: Predicted | None = None
    """The training images, without augmentation, with labels; None if the posthoc does not ask for them"""


class Posthoc(Technique, frozen=True):
    """An adjustment of the logits of a trained classifier, without training the network."""

    stage: ClassVar[str] = "posthoc"
    evidence: ClassVar[frozenset[Literal["held_out", "train", "features"]]] = frozenset()
    """What it is fitted to: predictions for held-out images, for training images; `features` adds features and weights."""
    transductive: ClassVar[bool] = False
    """Whether the result for a test image depends on the other, unlabelled test images; a note on its rows says so."""

    @classmethod
    def by_costs(cls, costs: str) -> Sequence[Self]:
        """Return the adjustments of this kind that decide by the costs of errors; by default none.

        costs: as `ltbench.costs` writes them.
        """
        return ()

    def uses(self) -> frozenset[Literal["held_out", "train", "features"]]:
        """Return the evidence that these parameters need; by default `evidence`."""
        return self.evidence

    def fit(self, evidence: Evidence) -> Any:
        """Return what `adjust_with` needs to know, such as a temperature; called if evidence is used.

        It is fitted for each network (and each branch of it) and each view, to images under the same view.
        """
        return None

    def adjust_with(
        self, state: Any, predicted: Predicted, counts: IntArray, classifier: LinearClassifier | None
    ) -> FloatArray:
        """Return adjusted logits, float [N, C]. The harness calls this method, which by default calls `adjust_linear`.

        state: what `fit` returned; None without evidence. predicted: without labels.
        """
        return self.adjust_linear(predicted.logits, counts, classifier)

    def in_torch(
        self, state: Any, counts: IntArray, classifier: LinearClassifier | None, classes: Sequence[str]
    ) -> Callable[[Tensor, Tensor], Tensor] | None:
        """Return what `adjust_with` does as a function of tensors, for programs that an exported model is written as.

        The function: logits float [N, C], features float [N, D] -> adjusted logits. It is not asked for where the
        adjustment multiplies the logits of each class and adds a number. None: there is no program with this posthoc.
        classes: their names.
        """
        return None

    def branch_weights(self, logits: FloatArray) -> FloatArray | None:
        """Return weights of the branches of a network, float [E] with sum 1, or None to merge them as they say.

        logits: adjusted, of all views and branches, float [V, E, N, C]. Weights from test images are `transductive`.
        """
        return None

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return adjusted logits of the same shape. logits: float [N, C]; counts: int64 [C]."""
        raise NotImplementedError

    def adjust_linear(self, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None) -> FloatArray:
        """Adjust with access to the classifier; by default calls `adjust`.

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
        """Return numbers by name: floats, lists with one number per class, a `Confusion` or nested lists; None if undefined.

        probabilities: float [N, C]; labels: int64 [N]; counts: int64 [C] of the training subset.
        """
        raise NotImplementedError
