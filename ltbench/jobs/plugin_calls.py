"""Call plugins at inference time, and check what they return.

Every fault becomes `JobFailed`, which names the technique, its distribution, the returned value and the expected one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ltbench.errors import JobFailed, LtbenchError
from ltbench.jobs.named_technique import full_name, leaving_no_state
from ltbench.stages import LinearClassifier, Metric, Posthoc, Technique

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray, IntArray

_TOLERANCE = 1e-4
"""Allowed distance of a probability from [0, 1] and of the sum of a row from 1: above float32 error at 1,000 classes."""


def adjust_checked(
    registry: Techniques, posthoc: Posthoc, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None
) -> FloatArray:
    """Return the adjusted logits, finite float64 [N, C]."""
    result = _array(registry, posthoc, lambda: posthoc.adjust_linear(logits, counts, classifier))
    if result.shape != logits.shape or not np.isfinite(result).all():
        raise _wrong(registry, posthoc, shape_text(result), f"finite logits {list(logits.shape)}")
    return result


def merge_checked(
    registry: Techniques, technique: Technique, merge: Callable[[FloatArray], FloatArray], parts: FloatArray
) -> FloatArray:
    """Return the probabilities float64 [N, C] that `merge`, a method of `technique`, makes of `parts`, float [P, N, C]."""
    result = _array(registry, technique, lambda: merge(parts))
    wanted = f"probabilities {list(parts.shape[1:])} between 0 and 1 that sum to 1 in each row"
    if result.shape != parts.shape[1:] or not np.isfinite(result).all():
        raise _wrong(registry, technique, shape_text(result), wanted)
    low, high = float(result.min()), float(result.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise _wrong(registry, technique, f"values from {low:.6g} to {high:.6g}", wanted)
    off = float(np.abs(result.sum(axis=1) - 1).max())
    if off > _TOLERANCE:
        raise _wrong(registry, technique, f"a row whose sum is {off:.3g} away from 1", wanted)
    # What is left is rounding, which a logarithm or a root in a metric must not meet.
    return result.clip(0.0, 1.0)


def compute_metrics(
    registry: Techniques, metrics: Iterable[Metric], probabilities: FloatArray, labels: IntArray, counts: IntArray
) -> dict[str, object]:
    """Return the fields of a record that metrics fill: `metrics`, `per_class` and, where a metric has it, `confusion`.

    probabilities: float64 [N, C]; labels: int64 [N]; counts: int64 [C] of the training subset.
    """
    numbers: dict[str, object] = {}
    per_class: dict[str, object] = {}
    parts: dict[str, object] = {"metrics": numbers, "per_class": per_class}
    owners: dict[str, Metric] = {}
    classes = len(counts)
    for metric in metrics:
        results = call_plugin(registry, metric, partial(metric.compute, probabilities, labels, counts))
        if not isinstance(results, Mapping):
            raise _wrong(registry, metric, type(results).__name__, "numbers by name")
        for name, returned in results.items():
            if name in owners:
                raise JobFailed(
                    f"{full_name(registry, metric)} returned '{name}', which '{owners[name].name}' has returned already"
                )
            owners[name] = metric
            value = _plain(returned)
            if name == "confusion":
                place, key, fine = parts, name, _has_shape(value, classes, classes)
                wanted = f"{classes} lists of {classes} counts"
            elif name.startswith("per_class."):
                place, key, fine = per_class, name.removeprefix("per_class."), _has_shape(value, classes)
                wanted = f"a list of {classes}, each a finite number or None"
            else:
                place, key, fine, wanted = numbers, name, _has_shape(value), "a finite number or None"
            if not fine:
                raise _wrong(registry, metric, f"'{name}' = {str(value)[:80]}", wanted)
            place[key] = value
    return parts


def call_plugin(registry: Techniques, technique: Technique, call: Callable[[], object]) -> object:
    """Return the result of a plugin's method.

    An exception becomes `JobFailed`, and a change of the process's state `StateChanged`; both name the technique.
    """
    try:
        with leaving_no_state(registry, technique, "call"):
            return call()
    except LtbenchError:
        raise
    # Anything at all: a plugin is somebody else's code, and the other cells have to continue.
    except Exception as error:
        raise JobFailed(
            f"{full_name(registry, technique)} raised {type(error).__name__}: {error}",
            fix="its traceback is in the log of the cell",
        ) from error


def shape_text(array: FloatArray) -> str:
    """Describe an array for an error message: `float32 [200, 10], not all finite`."""
    return f"{array.dtype} {list(array.shape)}{'' if np.isfinite(array).all() else ', not all finite'}"


def _array(registry: Techniques, technique: Technique, call: Callable[[], object]) -> FloatArray:
    returned = call_plugin(registry, technique, call)
    try:
        return np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError):
        raise _wrong(registry, technique, type(returned).__name__, "an array of numbers") from None


def _wrong(registry: Techniques, technique: Technique, got: str, expected: str) -> JobFailed:
    return JobFailed(f"{full_name(registry, technique)} returned {got}; expected {expected}")


def _plain(value: object) -> object:
    """Return numpy's numbers and arrays as Python's, at any depth."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _has_shape(value: object, *shape: int) -> bool:
    if shape:
        return isinstance(value, list) and len(value) == shape[0] and all(_has_shape(v, *shape[1:]) for v in value)
    return value is None or (isinstance(value, (int, float)) and math.isfinite(value))
