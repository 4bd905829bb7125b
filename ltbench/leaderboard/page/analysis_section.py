"""Folded parts of a page on tests, power and sources of variance."""

from __future__ import annotations

from collections.abc import Iterator

from ltbench.columns import Unit
from ltbench.leaderboard.page.best_row import ranked_rows
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.effect_size import MOST, runs_needed
from ltbench.leaderboard.statistics.estimates import CONSTANT
from ltbench.leaderboard.statistics.variance import BOTH, FEWEST, REST, SEED, SUBSET, Share, sd_interval
from ltbench.leaderboard.tables.cell_text import (
    MISSING,
    OWN_COUNTS,
    WIDEST,
    delta_title,
    factor_text,
    half_text,
    number_text,
    p_text,
    place_text,
    reference_text,
    runs_differ,
    runs_text,
    signed,
    spread,
)
from ltbench.leaderboard.tables.markdown import FOLD, details, escape, plain_table, unbroken
from ltbench.leaderboard.tables.rows import Row, leading_rows
from ltbench.leaderboard.tables.short_labels import short_labels
from ltbench.leaderboard.tables.table import Table

_MOST_SHARES = WIDEST - 3
"""Imbalance factors in the table of variances."""


def variance_lines(analysis: Analysis) -> list[str]:
    """Return the sources of variance, folded; nothing where only the baseline was run."""
    if all(len(record.techniques) == 0 for record in analysis.group.records):
        return []
    return [*details("Sources of variance", [*_variance(analysis)]), ""]


def _variance(analysis: Analysis) -> Iterator[str]:
    variances, unit = analysis.variances, analysis.group.ranking.unit
    estimable = [one for one in variances if one.shares]
    if not estimable:
        yield f"It cannot be estimated: {variances[0].why}."
        return
    # The last one is the mean over factors, where there are several.
    shown = [*spread(estimable[:-1], _MOST_SHARES), estimable[-1]]
    heads = ["mean" if one.factor is None else _heading(one.factor, analysis) for one in shown]
    sources = estimable[-1].shares
    rows = [
        [
            share.source,
            "" if share.source == REST else str(share.levels),
            *(_share(one.shares[i], unit) for one in shown),
        ]
        for i, share in enumerate(sources)
    ]
    yield from plain_table(["source", "levels", *heads], rows, right=range(1, len(heads) + 2))
    yield from (
        "", f"Standard deviation of each source{' in percentage points' if unit == 'percent' else ''}, and its share of the variance of a single run.", "",
    )  # fmt: skip
    seeds = sources[1:-1]
    fewest = min(share.levels for share in seeds)
    low, high = sd_interval(fewest)
    yield (
        f"An SD from {fewest} levels is rough: the true one is between {low:.1f} and {high:.1f} times as large, with 95 % "
        "confidence. The rest is the variance that combination and seeds do not explain, the noise of paired differences."
    )
    if any(share.source == BOTH for share in seeds):
        yield (
            "The parts of subset and training seed cannot be separated here: that takes at least "
            f"{FEWEST} of each, crossed."
        )  # fmt: skip
    if any(share.source == SUBSET for share in seeds) and any(share.source == SEED for share in seeds):
        yield (
            "Subset and training seeds are crossed, so each is part of several runs: if techniques do better on some of them "
            "than on others, runs are not independent and the intervals of this page are somewhat too narrow."
        )


def test_lines(table: Table) -> list[str]:
    """Return the tests of the first rows, folded: each row against the reference and against the best row."""
    more = more_runs(table)
    # One run cannot be tested, and `table.csv` has the differences.
    if not any(gap is not None and gap.half is not None for row in table.rows for gap in (row.delta, row.to_best)):
        return more
    short, first = short_labels(table), leading_rows(table.rows, FOLD, table.reference)
    runs = runs_differ(table)
    rows = [
        [
            escape(short.get(row.label, row.label)) if row.techniques else "*baseline*",
            *(unbroken(text) for text in _tests(row, table.ranking.unit)),
            *([runs_text(row, table.expected)] if runs else []),
        ]
        for row in (table.rows[i] for i in first)
    ]
    base = "Δ base" if table.reference == "baseline" else escape(delta_title(table.reference))
    head = ["techniques", base, "p", "d", "Δ best", "p", "d", *(["n"] if runs else [])]
    lines = [*plain_table(head, rows, right=range(1, len(head))), "", *more]
    if len(table.rows) > len(first):
        lines += [f"[`table.csv`](table.csv) has the other {len(table.rows) - len(first):,} rows.", ""]
    against = escape(reference_text(table.reference))
    return [*details(f"Tests against {against} and against the best row, with effect sizes", lines[:-1]), ""]


def more_runs(table: Table) -> list[str]:
    """Return how many more runs a significant difference of the first two rows takes, where they share a rank."""
    ranked = ranked_rows(table)
    # With a rank of its own the second row is significantly worse already.
    if len(ranked) < 2 or ranked[1].rank != 1:
        return []
    gap = ranked[1].to_best
    if gap is None:
        return []
    if gap.n < 2 and gap.sd is None:
        return ["With one pair of seeds no difference can be tested.", ""]
    if gap.sd is not None and gap.sd <= CONSTANT:
        return ["The difference of the first two rows is the same in every run.", ""]
    if gap.sd is None or gap.df is None or table.level is None or abs(gap.mean) <= CONSTANT:
        return []
    unit = table.ranking.unit
    size, have = abs(gap.mean) / gap.sd, gap.n
    more = _count(runs_needed(size, table.level, gap.df / max(1, have - 1)), have)
    known = f" {have} pairs give only the order of magnitude." if have < 10 else ""
    text = (
        f"The first two rows differ by {number_text(abs(gap.mean), unit)}{half_text(gap, unit)}. If this difference and its SD of "
        f"{number_text(gap.sd, unit)} are real, {more} pairs of seeds make it significant in 80 % of all repetitions.{known}"
    )
    return [text, ""]


def _count(runs: int | None, have: int) -> str:
    return f"more than {MOST:,}" if runs is None else f"about {max(1, runs - have):,} more"


def _tests(row: Row, unit: Unit) -> Iterator[str]:
    for gap, p, size in ((row.delta, row.p, row.effect), (row.to_best, row.p_best, row.effect_best)):
        yield "" if gap is None else signed(gap.mean, unit) + half_text(gap, unit)
        yield "" if gap is None else p_text(p) or MISSING
        yield "" if gap is None else MISSING if size is None else f"{size + 0.0:.1f}".replace("-", "−")


def _heading(factor: float, analysis: Analysis) -> str:
    place = place_text(factor, analysis.group.data_at(factor))
    return "own counts" if place == OWN_COUNTS else f"IF {factor_text(factor)}"


def _share(share: Share, unit: Unit) -> str:
    return unbroken(f"{number_text(share.sd, unit)} ({100 * share.share:.0f} %)")
