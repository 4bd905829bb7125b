"""Checks of what techniques return in training: an invalid value raises `JobFailed`, naming the technique.

They run on a trial batch when a segment starts, at no cost for training steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ltbench.core.process_state import unchanged, written
from ltbench.core.tracebacks import traceback_of
from ltbench.errors import JobFailed, LtbenchError, StateChanged, raised
from ltbench.stages import Mixed, Technique


def describe(value: object) -> str:
    """Return the type of a value for an error message, `float32 [128, 10]`."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"{type(value).__name__}"


def wrong_output(technique: Technique, got: str, expected: str) -> JobFailed:
    """Return the error for a technique that returned `got` instead of `expected`."""
    return JobFailed(f"{_name(technique)} returned {got}; expected {expected}", where=type(technique).__module__)


def check_tensor(technique: Technique, what: str, value: object, dtype: torch.dtype | None, shape: list[int]) -> Tensor:
    """Return the value if it is a tensor of this shape and dtype (None: any floating dtype)."""
    if (
        isinstance(value, Tensor)
        and list(value.shape) == shape
        and (value.is_floating_point() if dtype is None else value.dtype == dtype)
    ):
        return value
    kind = "float" if dtype is None else str(dtype).removeprefix("torch.")
    raise wrong_output(technique, f"{what} {describe(value)}", f"{kind} {shape}")


def check_training_logits(logits: Tensor, images: int, classes: int) -> None:
    """Raise `JobFailed` unless the logits of a network in training are [images, classes], as they are in prediction."""
    if logits.shape != (images, classes):
        raise JobFailed(
            f"the network returns logits {describe(logits)} in training; expected {[images, classes]}",
            why="a loss would learn from some of them, and predictions would use others",
            fix="return the logits of one classifier; several classifiers are a matter of the stage branches",
        )


def check_indices(technique: Technique, what: str, indices: object, size: int) -> Tensor:
    """Return the indices if they are int64 [M], M > 0, each in 0 .. size - 1."""
    if not (isinstance(indices, Tensor) and indices.dtype == torch.int64 and indices.dim() == 1 and len(indices)):
        raise wrong_output(technique, f"{what} {describe(indices)}", "int64 indices in one dimension, at least one")
    low, high = (int(end) for end in indices.aminmax())
    if low < 0 or high >= size:
        raise wrong_output(technique, f"{what} from {low} to {high}", f"indices from 0 to {size - 1}")
    return indices


def check_mixed(technique: Technique, mixed: object, images: Tensor, classes: int) -> Mixed:
    """Return the blended batch if its parts have the right shapes and its labels and shares are in range."""
    if not isinstance(mixed, Mixed):
        raise wrong_output(technique, describe(mixed), "a Mixed")
    check_tensor(technique, "images", mixed.images, images.dtype, list(images.shape))
    for name in ("labels_a", "labels_b"):
        labels = check_tensor(technique, name, getattr(mixed, name), torch.int64, [len(images)])
        check_indices(technique, name, labels, classes)
    lam = check_tensor(technique, "lam", mixed.lam, None, [len(images)])
    if not bool(((lam >= 0) & (lam <= 1)).all()):
        raise wrong_output(technique, f"lam from {float(lam.min()):g} to {float(lam.max()):g}", "shares in [0, 1]")
    return mixed


def check_class_weights(technique: Technique, weights: object, classes: int) -> Tensor:
    """Return the weights if they are float [C], finite and not negative."""
    table = check_tensor(technique, "weights", weights, None, [classes])
    if not bool((table.isfinite() & (table >= 0)).all()):
        raise wrong_output(technique, f"weights {[round(w, 6) for w in table.tolist()][:20]}", "finite weights >= 0")
    return table


@contextmanager
def naming_techniques(running: Technique | None = None) -> Iterator[None]:
    """Convert an error raised by a technique into a `JobFailed` that names it; other errors pass unchanged.

    The technique is found by its methods in the traceback; `running` names it for functions that are not methods.
    """
    try:
        yield
    except LtbenchError:
        raise
    except Exception as error:
        technique = _technique_in(error) or running
        if technique is None:
            raise
        raise JobFailed(
            f"{_name(technique)} raised {raised(error)}",
            where=type(technique).__module__,
            fix="see the log of the job for its traceback",
        ) from error


@contextmanager
def leaving_no_state(technique: Technique) -> Iterator[None]:
    """Raise `StateChanged` if a technique, called in the block, changes the state of the process.

    Only for the first call of each method in a job; later changes are found at the end of the job.
    """
    name, module = _name(technique), type(technique).__module__
    with unchanged(lambda changes: StateChanged.by(name, written(changes), where=module)):
        yield


def _technique_in(error: Exception) -> Technique | None:
    """Return the innermost technique whose method was running when the error was raised."""
    innermost: Technique | None = None
    frame = traceback_of(error)
    while frame is not None:
        owner = frame.tb_frame.f_locals.get("self")
        innermost = owner if issubclass(type(owner), Technique) else innermost
        frame = frame.tb_next
    return innermost


def _name(technique: Technique) -> str:
    return f"{technique.stage} '{technique.label}'"
