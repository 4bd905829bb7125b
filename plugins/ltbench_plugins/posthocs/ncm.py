"""The nearest class mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Evidence, LinearClassifier, Meta, Posthoc, Predicted, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench.stages import FloatArray, IntArray

_NEVER = -2.0
"""Below any cosine: a class without training images is never predicted."""


class Ncm(Posthoc, frozen=True):
    """Classify by the cosine of the features to the mean features of each class (nearest class mean).

    Means are over the training images, without augmentation. A mean has the same norm whatever the number of images, so
    head and tail are treated alike. The logits are cosines, so probabilities are almost uniform. The Euclidean distance
    to normalised means, which the paper names as well, predicts the same classes. With `centred`, the mean of all
    training features is subtracted first, as in the authors' code.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, section 4
    (nearest class mean classifier).
    """

    name = "ncm"
    evidence = frozenset({"train", "features"})
    centred: Annotated[
        bool, Meta(description="whether the mean of all training features is subtracted first"), Tune(False, True)
    ] = False

    def fit(self, evidence: Evidence) -> dict[str, Any]:
        """Return the centre, float [D], the normalised means, float [C, D], and which classes have images."""
        import numpy as np

        assert evidence.train is not None, "asked for"
        features, labels = evidence.train.features, evidence.train.labels
        classes = len(evidence.counts)
        centre = features.mean(0) if self.centred else np.zeros(features.shape[1])
        features = _normalised(features - centre) if self.centred else features
        sums = np.zeros((classes, features.shape[1]))
        np.add.at(sums, labels, features)
        # The sum has the direction of the mean.
        return {"centre": centre, "means": _normalised(sums), "present": np.bincount(labels, minlength=classes) > 0}

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return the logits unchanged, as features are needed."""
        return logits

    def adjust_with(
        self, state: dict[str, Any], predicted: Predicted, counts: IntArray, classifier: LinearClassifier | None
    ) -> FloatArray:
        """Return the cosine to each mean, float [N, C]."""
        import numpy as np

        cosines: FloatArray = _normalised(predicted.features - state["centre"]) @ state["means"].T
        return np.where(state["present"], cosines, _NEVER)

    def in_torch(
        self, state: dict[str, Any], counts: IntArray, classifier: LinearClassifier | None, classes: Sequence[str]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the same for tensors."""
        import torch

        centre, means = (torch.tensor(state[name], dtype=torch.float32) for name in ("centre", "means"))
        never = torch.tensor(state["present"]).logical_not()

        def cosines(_logits: Tensor, features: Tensor) -> Tensor:
            return (torch.nn.functional.normalize(features - centre) @ means.T).masked_fill(never, _NEVER)

        return cosines


def _normalised(rows: FloatArray) -> FloatArray:
    """Return rows of norm 1; a row of zeros stays."""
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: FloatArray = rows / np.where(norms > 0, norms, 1.0)
    return unit


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [Ncm]
