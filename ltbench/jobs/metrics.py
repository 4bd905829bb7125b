"""Computes the metrics of a cell independently, so that a failing metric affects no other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
import numpy as np

from ltbench.columns import HELD_OUT, PER_CLASS
from ltbench.confusion import Confusion
from ltbench.core.plugins import BUILT_IN
from ltbench.core.process_state import ProcessState, written
from ltbench.core.signals import is_request_to_stop
from ltbench.core.tracebacks import traceback_text
from ltbench.errors import JobFailed, LtbenchError, StateChanged, class_name, raised
from ltbench.jobs.named_technique import full_name
from ltbench.jobs.plugin_calls import call_plugin, wrong_result
from ltbench.records.numbers import Numbers
from ltbench.records.record import Failure, Record, failure
from ltbench.stages import Metric

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray, IntArray

CONFUSION = "confusion"
_CLOSE = 1e-9
"""Processors may round the last bit of an exponential differently; a changed logit has a larger effect."""
_INT64 = 2**63
"""Integers in the JSON of records have 64 bits."""


class MetricResults(NamedTuple):
    """The results of the installed metrics, by name of the metric."""

    numbers: dict[str, dict[str, object]]
    """The numbers of successful metrics, by their own names."""
    failed: dict[str, Failure]
    made_by: dict[str, dict[str, Any]]
    """The provenance of successful metrics."""

    @property
    def by_name(self) -> dict[str, object]:
        """All numbers by their own names, such as `top1`, `per_class.f1` and `confusion`."""
        return {name: value for numbers in self.numbers.values() for name, value in numbers.items()}


def compute_metrics(
    registry: Techniques, probabilities: FloatArray, labels: IntArray, counts: IntArray
) -> MetricResults:
    """Compute every installed metric with its default parameters.

    probabilities: float64 [N, C]; labels: int64 [N]; counts: int64 [C] of the training subset. A metric fails,
    without effect on others, if it raises, returns a wrong shape, a value that is not finite, or a name that an earlier
    metric has returned.
    """
    results = MetricResults({}, {}, {})
    owners: dict[str, str] = {}
    # A failing metric must not leave the process changed for the next one.
    state = ProcessState()
    for kind in _in_order(registry):
        try:
            metric = kind()
            # Copies, because a metric that modifies its arguments would change the numbers of the next one.
            numbers = checked_numbers(registry, metric, probabilities.copy(), labels.copy(), counts.copy())
            if changes := state.changes():
                raise StateChanged.by(full_name(registry, metric), written(changes))
            if taken := next((name for name in numbers if name in owners), None):
                raise JobFailed(
                    f"{full_name(registry, metric)} returned '{taken}', which '{owners[taken]}' returns, too"
                )
        # Any exception: plugins are third-party code, and the other numbers of the cell stay valid.
        except BaseException as error:
            state.restore()
            state = ProcessState()  # what cannot be restored is not the fault of the next one
            if is_request_to_stop(error):
                raise
            results.failed[kind.name] = _failure(registry, kind, error)
        else:
            results.numbers[kind.name] = numbers
            results.made_by[kind.name] = registry.provenance(metric)
            owners |= dict.fromkeys(numbers, kind.name)
    return results


def by_split(test: MetricResults | None, held_out: MetricResults | None) -> MetricResults:
    """Return the results on one or both splits, those on held-out images under names with the prefix `held_out.`.

    A metric that fails on held-out images keeps its numbers on test images. One that fails on test images has none.
    """
    if held_out is None:
        return test or MetricResults({}, {}, {})
    prefixed = {
        metric: {HELD_OUT + name: value for name, value in found.items()} for metric, found in held_out.numbers.items()
    }
    if test is None:
        return MetricResults(prefixed, held_out.failed, held_out.made_by)
    failed = {HELD_OUT + name: why for name, why in held_out.failed.items() if name not in test.failed}
    numbers = {metric: found | prefixed.get(metric, {}) for metric, found in test.numbers.items()}
    return MetricResults(numbers, test.failed | failed, test.made_by)


def checked_numbers(
    registry: Techniques, metric: Metric, probabilities: FloatArray, labels: IntArray, counts: IntArray
) -> dict[str, object]:
    """Return the numbers of one metric by name, as plain Python values; the confusion matrix as a `Confusion`.

    Raises `JobFailed`, naming the metric, if it raises, or returns anything but finite numbers or None, lists with one
    number per class as `per_class.NAME`, and a square of counts or a `Confusion` as `confusion`.
    """
    results = call_plugin(registry, metric, partial(metric.compute, probabilities, labels, counts))
    if not isinstance(results, Mapping):
        raise wrong_result(registry, metric, type(results).__name__, "numbers by name")
    classes = len(counts)
    numbers: dict[str, object] = {}
    for name, returned in results.items():
        if not isinstance(name, str) or name in ("", PER_CLASS) or name.startswith(HELD_OUT):
            raise wrong_result(registry, metric, f"a number with the name {name!r}", "a non-empty text")
        value = returned if isinstance(returned, Confusion) else _plain(returned)
        if name == CONFUSION:
            fine, wanted = _is_matrix(value, classes), f"{classes} lists of {classes} counts"
            value = Confusion.of_rows(value) if fine and isinstance(value, list) else value
        elif name.startswith(PER_CLASS):
            fine, wanted = _is_list(value, classes), f"a list of {classes}, each a finite number or None"
        else:
            fine, wanted = _is_number(value), "a finite number or None"
        if not fine:
            raise wrong_result(registry, metric, f"'{name}' = {str(value)[:80]}", wanted)
        numbers[name] = value
    return numbers


def record_fields(numbers: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a record that hold numbers: `metrics`, `per_class`, `confusion`, and `held_out` if any."""
    held_out = {n.removeprefix(HELD_OUT): value for n, value in numbers.items() if n.startswith(HELD_OUT)}
    numbers = {n: value for n, value in numbers.items() if not n.startswith(HELD_OUT)}
    return _split_fields(numbers) | ({"held_out": _split_fields(held_out)} if held_out else {})


def _split_fields(numbers: Mapping[str, object]) -> dict[str, object]:
    return {
        "metrics": {n: value for n, value in numbers.items() if n != CONFUSION and not n.startswith(PER_CLASS)},
        "per_class": {n.removeprefix(PER_CLASS): value for n, value in numbers.items() if n.startswith(PER_CLASS)},
        **({CONFUSION: numbers[CONFUSION]} if CONFUSION in numbers else {}),
    }


def numbers_on_record(record: Record) -> dict[str, object]:
    """Return the numbers of a record by name: `top1`, `per_class.f1`, `confusion`, `held_out.top1`."""
    held_out = {} if record.held_out is msgspec.UNSET else _numbers(record.held_out)
    return _numbers(record) | {HELD_OUT + name: value for name, value in held_out.items()}


def _numbers(of: Numbers) -> dict[str, object]:
    numbers: dict[str, object] = {**of.metrics, **{PER_CLASS + n: values for n, values in of.per_class.items()}}
    return numbers | ({CONFUSION: confusion} if (confusion := of.confusion) is not None else {})


def close(recorded: object, computed: object) -> bool:
    """Whether a number of a record, or a list of them, equals the computed one except for the last bits."""
    if isinstance(recorded, list) and isinstance(computed, list):
        return len(recorded) == len(computed) and all(map(close, recorded, computed))
    if isinstance(recorded, (int, float)) and isinstance(computed, (int, float)):
        return abs(recorded - computed) <= _CLOSE
    if isinstance(recorded, Confusion):
        return recorded == computed
    return recorded is computed


def _in_order(registry: Techniques) -> Iterable[type[Metric]]:
    """Return the metrics, built-in ones first, so that other metrics cannot take the names of their numbers."""
    kinds = [kind for kind in registry.of("metric").values() if issubclass(kind, Metric)]
    return sorted(kinds, key=lambda kind: registry.entry(kind.name).distribution != BUILT_IN)


def _failure(registry: Techniques, kind: type[Metric], error: BaseException) -> Failure:
    own = cast("LtbenchError", error).what if issubclass(type(error), LtbenchError) else ""
    message = own
    if not issubclass(type(error), JobFailed):
        entry = registry.entry(kind.name)
        said = f"{class_name(error)}: {own}" if own else raised(error)
        message = f"metric '{kind.name}' of {entry.distribution} {entry.version} raised {said}"
    return failure(type=class_name(error), message=message, log=traceback_text(error))


def _plain(value: object) -> object:
    """Convert numpy numbers and arrays to Python values, recursively."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _is_number(value: object) -> bool:
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return True
    # bool is a subclass of int, but not a number in a record.
    return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64


def _is_list(value: object, classes: int) -> bool:
    return isinstance(value, list) and len(value) == classes and all(map(_is_number, value))


def _is_matrix(value: object, classes: int) -> bool:
    if isinstance(value, Confusion):
        return value.classes == classes and value.is_sound
    return (
        isinstance(value, list)
        and len(value) == classes
        and all(_is_list(row, classes) and all(type(count) is int and count >= 0 for count in row) for row in value)
    )
