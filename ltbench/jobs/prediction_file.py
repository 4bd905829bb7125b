"""The file of a stored prediction: logits, labels, properties of the classifier, and features where they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltbench.errors import JobFailed
from ltbench.jobs.plugin_calls import shape_text
from ltbench.stages import LinearClassifier

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


BATCH = 500
"""Images per batch of a prediction: 250 to 500 are fastest on a CPU; 2,000 take twice as long. Last bits depend on it."""


class StoredPrediction(NamedTuple):
    """A stored prediction of N images by the E branches of a network; E is 1 without branches."""

    logits: FloatArray
    """float64 [E, N, C]"""
    labels: IntArray
    """int64 [N]"""
    features: FloatArray | None
    """float64 [E, N, D]; None if they are not stored"""
    classifiers: Sequence[LinearClassifier | None]
    """Of each branch; None where no linear layer computes the logits"""


def read_prediction(content: bytes, key: str, classes: int, *, branched: bool) -> StoredPrediction:
    """Return the prediction in a safetensors file. branched: of a network with branches.

    Raises `JobFailed`, naming the artefact, if the file cannot be read or an array has a wrong shape or range.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    where = f"artefact {key}"
    try:
        arrays = load(content)
        logits, labels = arrays["branches"] if branched else arrays["logits"][None], arrays["labels"]
    except (KeyError, SafetensorError) as error:
        raise JobFailed("stored logits cannot be read", where=where, why=str(error)) from error
    if not len(labels):
        raise JobFailed("there are no images", where=where)
    if logits.ndim != 3 or logits.shape[1:] != (len(labels), classes) or not np.isfinite(logits).all():
        raise JobFailed(
            f"stored logits are {shape_text(logits if branched else logits[0])}; expected finite {[len(labels), classes]}",
            where=where,
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise JobFailed(f"stored labels are outside of 0 to {classes - 1}", where=where)
    features = arrays.get("features")
    if features is not None and (features.shape[:2] != logits.shape[:2] or not np.isfinite(features).all()):
        raise JobFailed(
            f"stored features are {shape_text(features)}; expected finite {[*logits.shape[:2], 'D']}", where=where
        )
    classifiers: Sequence[LinearClassifier | None] = [None] * len(logits)
    if "classifier.norms" in arrays:
        norms, bias = (
            arrays[f"classifier.{name}"].astype(np.float64).reshape(len(logits), classes) for name in ("norms", "bias")
        )
        weights: Sequence[FloatArray | None] = [None] * len(logits)
        if "classifier.weights" in arrays:
            weights = list(arrays["classifier.weights"].astype(np.float64).reshape(len(logits), classes, -1))
        classifiers = [LinearClassifier(*parts) for parts in zip(norms, bias, weights, strict=True)]
    # Stored as float32; probabilities and metrics are computed in float64, to be the same on every machine.
    return StoredPrediction(
        logits.astype(np.float64),
        labels.astype(np.int64),
        None if features is None else features.astype(np.float64),
        classifiers,
    )
