"""The section of a page on all data sets together: mean differences, and ranks over data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ltbench.core.row_labels import BASELINE
from ltbench.leaderboard.figures import FigureGroup
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.estimates import LEVEL
from ltbench.leaderboard.statistics.mean_ranks import MeanRanks, mean_ranks
from ltbench.leaderboard.statistics.over_datasets import OverDatasets, over_datasets
from ltbench.leaderboard.tables.cell_text import (
    RANK,
    REFERENCE,
    delta_title,
    half_text,
    number_text,
    ranks_text,
    reference_text,
    signed,
)
from ltbench.leaderboard.tables.markdown import FOLD, LISTED, details, escape, left_out, plain_table, unbroken
from ltbench.leaderboard.tables.rows import leading_rows

_SHOWN = 4
"""Data sets that have a column of their own."""


def dataset_lines(
    analyses: Sequence[Analysis], figures: Sequence[FigureGroup], reference: str, most: int = LISTED
) -> list[str]:
    """Return the section; empty with a single data set. most: rows of each table that are listed, besides the reference."""
    groups = [analysis.group for analysis in analyses if analysis.group.records]
    if len({group.dataset for group in groups}) < 2:
        return []
    lines = ["## Across data sets", ""]
    found = over_datasets(groups, reference)
    if found is not None:
        lines += _mean_lines(found, reference, most)
    ranks = mean_ranks(groups)
    return [*lines, *(_rank_lines(ranks, figures, most) if isinstance(ranks, MeanRanks) else [ranks, ""])]


def _mean_lines(found: OverDatasets, reference: str, most: int) -> Iterator[str]:
    shown = found.datasets if len(found.datasets) <= _SHOWN else []
    rows = [
        [
            unbroken(ranks_text(row.rank, row.last_rank)),
            escape(row.label) if row.label != BASELINE else "*baseline*",
            *(number_text(row.by_dataset[found.datasets.index(name)], found.unit) for name in shown),
            number_text(row.mean, found.unit),
            (REFERENCE if row.label == reference else "")
            if row.delta is None
            else unbroken(
                signed(row.delta.mean, found.unit) + half_text(row.delta, found.unit) + _mark(row.delta.interval)
            ),
        ]
        for row in found.rows
    ]
    head = [RANK, "techniques", *map(escape, shown), "mean", escape(delta_title(reference))]
    right = [0, *range(2, len(head))]
    yield (
        f"Mean {escape(found.metric)} over {len(found.datasets)} data sets, of the combinations that were run on all of them; "
        f"the difference to {escape(reference_text(reference))} with its simultaneous 95 % interval, `*` where it is "
        "significant. It holds for the average of these data sets."
    )
    yield ""
    first = leading_rows(found.rows, FOLD, reference)
    listed = leading_rows(found.rows, most, reference)
    others = [rows[i] for i in listed if i not in set(first)]
    yield from plain_table(head, [rows[i] for i in first], right=right)
    yield ""
    if others:
        yield from (*details(f"{len(others)} more rows", plain_table(head, others, right=right)), "")
    if left := len(rows) - len(listed):
        yield from (left_out(left), "")
    if found.p_interaction is not None:
        same = (
            "are not the same on every data set" if found.p_interaction < LEVEL else "may be the same on every data set"
        )
        yield from (f"Differences between rows {same} (F test of rows × data sets, p = {found.p_interaction:.2g}).", "")


def _mark(interval: tuple[float, float] | None) -> str:
    return "" if interval is None or interval[0] <= 0 <= interval[1] else r" \*"


def _rank_lines(found: MeanRanks, figures: Sequence[FigureGroup], most: int) -> Iterator[str]:
    for one in figures:
        if one.section == "critical_difference":
            yield from one.markdown()
    verdict = "significant" if found.p < LEVEL else "not significant"
    yield (
        f"Friedman's test over {len(found.datasets)} data sets is {verdict} (p = {found.p:.2g}). "
        f"Mean ranks differ significantly from {found.difference:.2f} on (Nemenyi, 5 %)."
    )
    yield ""
    rows = [
        [str(i), escape(label), f"{rank:.2f}"]
        for i, (label, rank) in enumerate(zip(found.labels[:most], found.ranks[:most], strict=True), 1)
    ]
    title = (
        "Mean ranks" if len(rows) == len(found.labels) else f"The {len(rows)} best mean ranks of {len(found.labels):,}"
    )
    yield from details(title, plain_table(["#", "techniques", "mean rank"], rows, right=[0, 2]))
    yield ""
