"""Posthocs and merging in a form that does not need their plugins: found by trying them, exact or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ltbench.errors import JobFailed
from ltbench.trained_model.description import Adjustment

if TYPE_CHECKING:
    from ltbench.stages import FloatArray

_ROWS = 16
_TOLERANCE = 1e-9
"""Relative; both sides are computed in double precision."""


def adjustment_of(adjust: Callable[[FloatArray], FloatArray], classes: int) -> Adjustment | None:
    """Return the scale and shift of each class with which a posthoc adjusts logits; None if it does something else.

    adjust: logits float [N, C] -> the same shape.
    """
    shift, at_one = adjust(np.stack([np.zeros(classes), np.ones(classes)]))
    scale = at_one - shift
    logits = np.random.default_rng(0).normal(0.0, 5.0, (_ROWS, classes))
    if not _same(adjust(logits), logits * scale + shift):
        return None
    return Adjustment(scale=tuple(scale.tolist()), shift=tuple(shift.tolist()))


def view_rule(merge: Callable[[FloatArray], FloatArray], views: int, classes: int) -> str:
    """Return the name of the rule by which views merge; empty for none of those that have one.

    merge: logits float [views, N, C] -> probabilities float [N, C].
    """
    logits = np.random.default_rng(0).normal(0.0, 2.0, (views, _ROWS, classes))
    return "softmax_mean" if _same(merge(logits), softmax(logits).mean(0)) else ""


def ensemble_rule(merge: Callable[[FloatArray], FloatArray], members: int, classes: int) -> str:
    """Return the name of the rule by which members merge; empty for none of those that have one.

    merge: probabilities float [members, N, C] -> the same without the first axis.
    """
    given = softmax(np.random.default_rng(0).normal(0.0, 2.0, (members, _ROWS, classes)))
    merged, logs = merge(given), np.log(given)
    rules = {"mean": given.mean(0), "product": softmax(logs.sum(0)), "geometric_mean": softmax(logs.mean(0))}
    return next((name for name, expected in rules.items() if _same(merged, expected)), "")


def softmax(logits: FloatArray) -> FloatArray:
    """Return the softmax over the last axis."""
    raised: FloatArray = np.exp(logits - logits.max(-1, keepdims=True))
    shares: FloatArray = raised / raised.sum(-1, keepdims=True)
    return shares


def _same(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE))


def stored_state(state: Any, name: str, arrays: dict[str, Any], who: str) -> Any:
    """Return what a posthoc was fitted to as JSON values, with arrays apart, by name; who: the posthoc, for the error.

    Raises `JobFailed` for anything but numbers, texts, arrays, and lists and dictionaries of these.
    """
    if isinstance(state, np.ndarray) and state.dtype.kind in "biuf":
        arrays[name] = np.ascontiguousarray(state)
        return {"array": name}
    if isinstance(state, np.generic):
        return state.item()
    if state is None or isinstance(state, bool | int | float | str):
        return state
    if isinstance(state, list | tuple):
        return [stored_state(part, f"{name}.{number}", arrays, who) for number, part in enumerate(state)]
    if isinstance(state, dict) and all(isinstance(key, str) for key in state) and state.keys() != {"array"}:
        return {key: stored_state(part, f"{name}.{key}", arrays, who) for key, part in state.items()}
    raise JobFailed(
        f"{who} is fitted to {type(state).__name__}, which cannot be stored with a model",
        fix="return numbers, numpy arrays, or lists and dictionaries of these from `fit`",
    )


def restored_state(plain: Any, arrays: dict[str, Any]) -> Any:
    """Return what `stored_state` was given; a tuple comes back as a list."""
    if isinstance(plain, list):
        return [restored_state(part, arrays) for part in plain]
    if isinstance(plain, dict):
        if plain.keys() == {"array"}:
            return arrays[plain["array"]]
        return {key: restored_state(part, arrays) for key, part in plain.items()}
    return plain
