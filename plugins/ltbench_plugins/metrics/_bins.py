"""Expected calibration error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


def expected_calibration_error(probabilities: FloatArray, labels: IntArray, bins: int) -> float:
    """Return the mean difference between confidence and accuracy over bins of equal width, weighted by images.

    Bins are open below and closed above. probabilities: float [N, C]; labels: int64 [N], at least one.
    """
    import numpy as np

    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    # With right=True a confidence on an edge belongs to the bin below it.
    bin_of = np.digitize(confidence, inner_edges, right=True)
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
