"""Accuracy relative to that on balanced training images: how much of what the imbalance costs a row makes up for.

A_r = A_t / A_u, where A_t is the accuracy of a row, and A_u the upper reference: the larger of the accuracies that the
baseline and the row itself have with as many training images, the same number of each class (Zhang et al., "Deep
Long-Tailed Learning: A Survey", TPAMI 2023). A method that is better on any data gains less by it than by
accuracy: only what it gains on long-tailed data counts.

The balanced runs are records like all others: those that differ in nothing but the profile. Which profile is balanced
is read from the class counts, so a page needs no plugin for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Final

import numpy as np

from ltbench.columns import BALANCED, TOP1, Column
from ltbench.core.spec import Spec, canonical
from ltbench.leaderboard.statistics.record_groups import RecordGroup

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

RELATIVE: Final = "relative_accuracy"
COLUMN: Final = Column(
    name=RELATIVE,
    title="rel.",
    long_title="Relative accuracy",
    description=(
        "Accuracy in percent of the upper reference: the larger one of the accuracies of the baseline and of the row "
        "with as many training images, the same number of each class."
    ),
    shown="main",
    order=5,
    priority=60,
)


def relative_scores(
    group: RecordGroup, groups: Sequence[RecordGroup], factor: float, scores: dict[str, Floats], labels: Sequence[str]
) -> Floats | None:
    """Return float [rows, runs] of the relative accuracy at a factor, NaN where a balanced run is missing.

    scores: float [rows, runs] of each score of the rows `labels`. None without balanced runs of the same setting.
    """
    name = BALANCED if group.ranking.name == BALANCED else TOP1
    companion = _companion(group, groups, factor)
    if companion is None or name not in scores:
        return None
    reached: dict[str, list[float]] = {}
    for record in companion.records:
        if record.setting.imbalance_factor == factor and (score := record.score(name)) is not None:
            reached.setdefault(record.label, []).append(score)
    means = {label: fmean(found) for label, found in reached.items()}
    nothing = float("nan")
    # NaN where either is missing or the larger one is zero; `max` alone could drop a NaN.
    upper = np.maximum(means.get("baseline", nothing), [means.get(label, nothing) for label in labels])
    return np.asarray(scores[name] / np.where(upper > 0, upper, np.nan)[:, None])


def _companion(group: RecordGroup, groups: Sequence[RecordGroup], factor: float) -> RecordGroup | None:
    """Return the group that differs in the profile alone and has as many images at a factor, the same of each class."""
    counts = _counts(group, factor)
    if not counts or _even(counts):
        return None
    own = _without_profile(group)
    for other in groups:
        theirs = _counts(other, factor)
        if _without_profile(other) == own and _even(theirs) and sum(theirs) == sum(counts):
            return other
    return None


def _without_profile(group: RecordGroup) -> tuple[object, ...]:
    data: Spec = {key: value for key, value in group.fixed.get("data", {}).items() if key != "profile"}
    return group.protocol, group.dataset, group.model, canonical(group.recipe), canonical({**group.fixed, "data": data})


def _counts(group: RecordGroup, factor: float) -> list[int]:
    """Return the training images of each class, with those that are held out."""
    data = group.data_at(factor)
    counts = [int(count) for count in data.get("counts", [])]
    held_out = [int(count) for count in data.get("held_out", [])] or [0] * len(counts)
    return [kept + out for kept, out in zip(counts, held_out, strict=True)]


def _even(counts: Sequence[int]) -> bool:
    return bool(counts) and max(counts) - min(counts) <= 1
