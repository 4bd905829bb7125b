"""How much more images of a class would probably help: a power law through the errors with fewer of them.

With n images of a class, its error is taken to be e(n) = a n^-b, as generalisation errors of deep networks are found to be
(Hestness et al., "Deep Learning Scaling is Predictable, Empirically", arXiv 2017). The law is fitted to all classes together,
with an exponent of their own that is shrunk to the common one, because the recalls of rare classes are noisy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class Gain(NamedTuple):
    """What twice as many images of a class would probably bring."""

    label: int
    images: int
    """That it has"""
    recall: float
    """Of the network that was tested"""
    more: float
    """Expected recall with twice as many images as it has, minus that with as many"""


def gains(
    counts: Sequence[IntArray], recalls: Sequence[FloatArray], support: IntArray, there: Sequence[int]
) -> list[Gain]:
    """Return the gain of each class with test images, the largest first.

    counts: training images of each class at each size of the training subset, int64 [C] each, the whole last; recalls: float [C]
    each, NaN without test images; support: test images of each class, int64 [C]; there: images of each class that there are,
    of which a fold trains on a part.
    """
    known = np.flatnonzero(support > 0)
    # Half an image is added to hits and misses, so that a class without errors has some.
    hits = np.array([recall[known] * support[known] for recall in recalls])
    errors = (support[known] - hits + 0.5) / (support[known] + 1)
    sizes = np.log(np.array([count[known] for count in counts], dtype=float))
    slopes, weights = _slopes(sizes, np.log(errors), errors, support[known])
    common = float(np.clip((weights * slopes).sum() / weights.sum(), 0.0, 1.0)) if weights.sum() > 0 else 0.0
    spread = max(float(np.var(slopes)) - float(np.mean(1 / np.maximum(weights, 1e-9))), 0.0) if len(slopes) > 1 else 0.0
    shrunk = (weights * spread * slopes + common) / (weights * spread + 1)
    found = []
    for label, error, slope in zip(known.tolist(), errors[-1], shrunk, strict=True):
        exponent = max(float(slope), 0.0)
        # With all images that there are, which may be more than the whole of a fold.
        error_now = float(error) * (int(counts[-1][label]) / there[label]) ** exponent
        found.append(Gain(label, there[label], float(recalls[-1][label]), error_now * (1 - 2.0**-exponent)))
    return sorted(found, key=lambda gain: (-gain.more, gain.label))


def _slopes(
    sizes: FloatArray, logs: FloatArray, errors: FloatArray, support: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the exponent b of each class, and the inverse of its variance, float [C] each.

    sizes, logs: logarithms of images and errors, float [S, C].
    """
    centred = sizes - sizes.mean(0)
    squares = (centred**2).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = np.where(squares > 0, -(centred * logs).sum(0) / squares, 0.0)
    # By the delta method: the variance of log e is (1 - e) / (e n).
    variance = np.maximum((1 - errors) / (errors * support), 1e-4)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.where(squares > 0, squares**2 / (centred**2 * variance).sum(0), 0.0)
    return slopes, inverse
