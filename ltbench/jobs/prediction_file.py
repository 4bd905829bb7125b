"""The file of a stored prediction: logits, labels, properties of the classifier, and features where they were asked for.

Of more than `WHOLE` classes, logits are stored as the largest one of each image, `top`, float32 [N], and how far each is below it,
`below`, float16 [N, C]: half the space. The largest logit is exact, it belongs to the same class, ties included, and what is
close to it is hardly rounded, as float16 is finest at 0. What is lost: a logit that is d below the largest one is wrong by at
most d / 2048, and beyond 65,504 below it stays at that. All numbers of a cell follow from what is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltbench.errors import JobFailed
from ltbench.jobs.plugin_calls import shape_text
from ltbench.stages import LinearClassifier

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


_ALL_ROWS = slice(None)
_BATCH = 500
"""Images per batch of a prediction: 250 to 500 are fastest on a CPU; 2,000 take twice as long."""
_AREA = 64 * 64
"""Pixels of the largest images in such a batch; of larger ones, a batch has as many pixels as of these."""
WHOLE = 256
"""Largest number of classes whose logits are stored as float32."""
TOP, BELOW = "top", "below"


def batch_size(shape: Sequence[int]) -> int:
    """Return the images per batch of a prediction, on which the last bits of logits depend.

    shape: of the images, [..., height, width]; or of their features, [N, D].
    """
    return _BATCH if len(shape) < 3 else min(_BATCH, max(1, _BATCH * _AREA // (shape[-2] * shape[-1])))


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


def image_count(content: bytes) -> int:
    """Return the images of a safetensors file from its header; 0 if it cannot be read, which `read_prediction` then says."""
    try:
        length = int.from_bytes(content[:8], "little")
        return int(json.loads(content[8 : 8 + length])["labels"]["shape"][0])
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0


def read_prediction(
    content: bytes, key: str, classes: int, *, branched: bool, rows: slice = _ALL_ROWS
) -> StoredPrediction:
    """Return the prediction in a safetensors file, or that of some of its images. branched: of a network with branches.

    Raises `JobFailed`, naming the artefact, if the file cannot be read or an array has a wrong shape or range.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    where = f"artefact {key}"
    try:
        arrays = load(content)
        logits, labels = _logits(arrays, "branches" if branched else "logits", rows), arrays["labels"][rows]
        features = arrays["features"][..., rows, :] if "features" in arrays else None
    except (LookupError, SafetensorError) as error:
        raise JobFailed("stored logits cannot be read", where=where, why=str(error)) from error
    logits = logits if branched else logits[None]
    if not len(labels):
        raise JobFailed("there are no images", where=where)
    if logits.ndim != 3 or logits.shape[1:] != (len(labels), classes) or not np.isfinite(logits).all():
        raise JobFailed(
            f"stored logits are {shape_text(logits if branched else logits[0])}; expected finite {[len(labels), classes]}",
            where=where,
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise JobFailed(f"stored labels are outside of 0 to {classes - 1}", where=where)
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
        logits.astype(np.float64, copy=False),
        labels.astype(np.int64),
        None if features is None else features.astype(np.float64),
        classifiers,
    )


def _logits(arrays: Mapping[str, Any], name: str, rows: slice) -> Any:
    """Return the logits of these images of a file, float32 or float64 [..., N, C]."""
    if f"{name}.{BELOW}" not in arrays:
        return arrays[name][..., rows, :]
    # In place: of thousands of classes, a table takes gigabytes.
    logits = arrays[f"{name}.{BELOW}"][..., rows, :].astype(np.float64)
    return np.subtract(arrays[f"{name}.{TOP}"][..., rows].astype(np.float64)[..., None], logits, out=logits)
