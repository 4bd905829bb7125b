"""Calls plugins at inference time, and checks what they return.

Every error becomes `JobFailed`, which names the technique, its distribution, the returned value and the expected one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ltbench.core.signals import is_request_to_stop
from ltbench.errors import JobFailed, raised
from ltbench.jobs.named_technique import full_name, leaving_no_state
from ltbench.stages import LinearClassifier, Posthoc, Predicted, Technique

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray, IntArray

_TOLERANCE = 1e-4
"""Allowed distance of a probability from [0, 1] and of the sum of a row from 1: above float32 error at 1,000 classes."""


def adjust_checked(
    registry: Techniques,
    posthoc: Posthoc,
    state: object,
    predicted: Predicted,
    counts: IntArray,
    classifier: LinearClassifier | None,
) -> FloatArray:
    """Return the adjusted logits, finite float64 [N, C]. state: what the posthoc was fitted to."""
    result = _array(registry, posthoc, lambda: posthoc.adjust_with(state, predicted, counts, classifier))
    if result.shape != predicted.logits.shape or not np.isfinite(result).all():
        raise wrong_result(registry, posthoc, shape_text(result), f"finite logits {list(predicted.logits.shape)}")
    return result


def weights_checked(
    registry: Techniques, technique: Technique, call: Callable[[], FloatArray | None], number: int
) -> FloatArray | None:
    """Return the weights float64 [E], with sum 1, that a technique computes for E branches; None for none."""
    returned = call_plugin(registry, technique, call)
    if returned is None:
        return None
    weights = _array(registry, technique, lambda: returned)
    if weights.shape != (number,) or not np.isfinite(weights).all() or abs(float(weights.sum()) - 1) > _TOLERANCE:
        raise wrong_result(registry, technique, f"weights {weights.tolist()}", f"{number} finite weights with sum 1")
    return weights


def merge_logits_checked(
    registry: Techniques, technique: Technique, merge: Callable[[FloatArray], FloatArray], parts: FloatArray
) -> FloatArray:
    """Return the logits, finite float64 [N, C], that `merge` of `technique` computes from `parts`, float [P, N, C]."""
    result = _array(registry, technique, lambda: merge(parts))
    if result.shape != parts.shape[1:] or not np.isfinite(result).all():
        raise wrong_result(registry, technique, shape_text(result), f"finite logits {list(parts.shape[1:])}")
    return result


def merge_checked(
    registry: Techniques, technique: Technique, merge: Callable[[FloatArray], FloatArray], parts: FloatArray
) -> FloatArray:
    """Return the probabilities float64 [N, C] that `merge` of `technique` computes from `parts`, float [P, N, C]."""
    result = _array(registry, technique, lambda: merge(parts))
    wanted = f"probabilities {list(parts.shape[1:])} between 0 and 1 that sum to 1 in each row"
    if result.shape != parts.shape[1:] or not np.isfinite(result).all():
        raise wrong_result(registry, technique, shape_text(result), wanted)
    low, high = float(result.min()), float(result.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise wrong_result(registry, technique, f"values from {low:.6g} to {high:.6g}", wanted)
    off = float(np.abs(result.sum(axis=1) - 1).max())
    if off > _TOLERANCE:
        raise wrong_result(registry, technique, f"a row whose sum differs from 1 by {off:.3g}", wanted)
    # Remove rounding errors, which a logarithm or root in a metric could not handle.
    return result.clip(0.0, 1.0)


def call_plugin(registry: Techniques, technique: Technique, call: Callable[[], object]) -> object:
    """Return the result of a plugin's method.

    An exception becomes `JobFailed`, and a change of the process's state `StateChanged`; both name the technique.
    """
    try:
        with leaving_no_state(registry, technique, "call"):
            return call()
    except JobFailed:
        raise
    # Any exception: plugins are third-party code, and other cells have to continue.
    except BaseException as error:
        if is_request_to_stop(error):
            raise
        raise JobFailed(
            f"{full_name(registry, technique)} raised {raised(error)}",
            fix="see the log of the cell for its traceback",
        ) from error


def shape_text(array: FloatArray) -> str:
    """Describe an array for an error message: `float32 [200, 10], not all finite`."""
    return f"{array.dtype} {list(array.shape)}{'' if np.isfinite(array).all() else ', not all finite'}"


def _array(registry: Techniques, technique: Technique, call: Callable[[], object]) -> FloatArray:
    returned = call_plugin(registry, technique, call)
    try:
        return np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError):
        raise wrong_result(registry, technique, type(returned).__name__, "an array of numbers") from None


def wrong_result(registry: Techniques, technique: Technique, got: str, expected: str) -> JobFailed:
    """Return the error of a technique that returned something wrong, to be raised."""
    return JobFailed(f"{full_name(registry, technique)} returned {got}; expected {expected}")
