"""Chooses the epoch of a training whose state predicts, on held-out images.

The states after the epochs are artefacts of the training like any other state, so the same training serves suites with and
without a selection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ltbench.columns import BALANCED, HELD_OUT, TOP1
from ltbench.core.spec import Job, Spec, identity, predict_spec
from ltbench.costs import balanced, is_cost
from ltbench.errors import UsageError
from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination
from ltbench.planning.feature_jobs import feature_jobs
from ltbench.planning.trajectory import Segments, epoch_ends
from ltbench.stages import Metric, Posthoc


class Compared(NamedTuple):
    """A number by which trials, epochs or rows are compared."""

    number: str
    """Its name, without prefix: `balanced_accuracy`."""
    higher_is_better: bool
    technique: Spec
    """The spec of the metric that computes it."""

    @property
    def name(self) -> str:
        """The name of the number on held-out images in a record."""
        return HELD_OUT + self.number

    @property
    def spec(self) -> Spec:
        """What the spec of a fit says of its selection."""
        return {
            "metric": self.technique,
            "number": self.number,
            "best": "highest" if self.higher_is_better else "lowest",
        }


def held_out_metric(metric: str, test_counts: Sequence[int], registry: Techniques) -> Compared:
    """Return what ranks a page with this metric, for held-out images.

    These are long-tailed, like the training subset. What top-1 accuracy on a balanced test split would be is estimated by
    balanced accuracy, and an expected cost by that of balanced classes. test_counts: images of each class in the test split. Raises `UsageError` if no metric has it.
    """
    metric = metric.removeprefix(HELD_OUT)
    number = BALANCED if not metric or (metric == TOP1 and _is_balanced(test_counts)) else metric
    if is_cost(number) and _is_balanced(test_counts):
        number = balanced(number)
    return _metric_with(number, registry)


def test_metric(metric: str, test_counts: Sequence[int], registry: Techniques) -> Compared:
    """Return what ranks a page with this metric, on test images: by default top-1 accuracy, or balanced accuracy."""
    return _metric_with(metric or (TOP1 if _is_balanced(test_counts) else BALANCED), registry)


def _is_balanced(counts: Sequence[int]) -> bool:
    return len({count for count in counts if count}) == 1


def fitted_to_held_out(row: Combination) -> str:
    """Return the posthoc of a row that is fitted to the held-out images, by which it cannot be compared; empty without one."""
    posthoc = row.by_stage.get(Posthoc.stage)
    return posthoc.label if isinstance(posthoc, Posthoc) and "held_out" in posthoc.uses() else ""


def _metric_with(number: str, registry: Techniques) -> Compared:
    if is_cost(number):
        # It follows from the confusion matrix, which is a number of the metric with top-1 accuracy.
        return _metric_with(TOP1, registry)._replace(number=number, higher_is_better=False)
    for kind in registry.of(Metric.stage).values():
        if issubclass(kind, Metric):
            for column in kind.columns:
                if column.name == number:
                    return Compared(number, column.higher_is_better, registry.spec(kind()))
    raise UsageError(f"no installed metric has the number '{number}', by which trials and epochs are compared",
                     fix="set metric in the suite, or use the built-in plugins")  # fmt: skip


def candidates(fit: Spec) -> list[Spec]:
    """Return the fits among which a selection chooses: the states of a training after each epoch, the last one at its end."""
    return [fit | {"segments": part.specs} for part in epoch_ends(fit, Segments(fit["segments"]))]


def selection_jobs(spec: Spec) -> Iterator[Job]:
    """Yield the predictions of held-out images, and the job that chooses between their fits. spec: of the selected fit.

    Features that the predictions are computed from come before.
    """
    fit = {key: value for key, value in spec.items() if key != "selection"}
    parents: list[str] = []
    for candidate in candidates(fit):
        key = identity(candidate)
        # Of the identity view, which belongs to no technique.
        seen = predict_spec(key, {}, "identity", "held_out")
        features = feature_jobs(fit, seen)
        yield from features
        read = tuple(job.key for job in features)
        predict = Job(key=identity(seen), kind="predict", spec=seen, parents=(key, *read))
        parents += [key, predict.key]
        yield predict
    yield Job(key=identity(spec), kind="select", spec=spec, parents=tuple(parents))


def without_selection(spec: Spec) -> Spec:
    """Return the spec of the training itself."""
    rest: dict[str, Any] = {key: value for key, value in spec.items() if key != "selection"}
    return rest
