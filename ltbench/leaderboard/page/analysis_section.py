"""Sections of a page on effects of techniques, interactions, sources of variance and power."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ltbench.leaderboard.figures.interactions import FEWEST as FEWEST_PAIRS
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.effect_size import MOST, runs_needed
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.tests_and_intervals import CONSTANT
from ltbench.leaderboard.statistics.variance import BOTH, FEWEST, REST, SEED, SUBSET, Share, sd_interval
from ltbench.leaderboard.tables.cell_text import (
    MISSING,
    OWN_COUNTS,
    delta_title,
    factor_text,
    half_text,
    percent,
    place_text,
    reference_text,
    runs_text,
    signed,
)
from ltbench.leaderboard.tables.markdown import FOLD, details, escape, plain_table, unbroken
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.table import Board, Table

_ADDS = """\
Percentage points of {metric} that switching a technique on adds, everything else as it was, averaged over every
combination of the others (*of*) that was run with and without it; mean ± 95 % interval over *n* pairs of seeds, `*` where
it is significant. The intervals of a column hold together; the variance between seeds is pooled over techniques.
*alone* is the difference to the baseline."""
_MACHINES = """\
Some rows were run on other types of machines than others. Differences between those are no pairs: they are left out of
the effects below, and are part of the rest of the variance."""
_TOGETHER = """\
What two techniques add together beyond the sum of what each adds: above zero they help each other, below zero they
interfere. Averaged and tested as above, over all pairs of one imbalance factor."""


def effect_lines(analysis: Analysis, board: Board, figure: Sequence[str], pair_figure: Sequence[str]) -> Iterator[str]:
    """Yield the sections on effects; nothing where the differences to the baseline say the same."""
    if not analysis.has_averages:
        if analysis.together:
            yield from ("### What each technique adds", "", *_together(analysis))
        return
    unpaired = [*_MACHINES.splitlines(), ""] if analysis.several_machines else []
    yield from (
        "### What each technique adds",
        "",
        *unpaired,
        *_ADDS.format(metric=analysis.group.ranking.words).splitlines(),
        "",
    )
    yield from (*_folding(*_main_table(analysis, board)), "", *_partial(analysis.effects), *_aliases(analysis), *figure)
    yield from _together(analysis)
    if not analysis.pairs:
        return
    yield from ("### What pairs add", "", *_TOGETHER.splitlines(), "", *pair_figure)
    apart = [effect for effect in analysis.pairs if effect.separated]
    # Too few pairs for a heat map are all in the table, significant or not.
    shown = apart if len({effect.techniques for effect in analysis.pairs}) >= FEWEST_PAIRS else analysis.pairs
    if shown:
        yield from (*_folding(*_pair_table(shown)), "")
        yield from _partial(shown)
    tested = sum(effect.p is not None for effect in analysis.pairs)
    every = f"all {len(analysis.pairs)} are in [`effects.csv`](effects.csv)."
    yield f"{len(apart) or 'None'} of {tested} tested {'is' if len(apart) == 1 else 'are'} significant; {every}"
    yield ""


def _aliases(analysis: Analysis) -> Iterator[str]:
    """Yield what the effects are aliased with that only least squares estimates."""
    for effect in analysis.effects:
        if effect.aliased is not None and effect.factor == analysis.factor:
            (name,) = effect.techniques
            pairs = ", ".join(f"{escape(one)} × {escape(two)}" for one, two in effect.aliased)
            with_what = f"aliased with {pairs}" if pairs else "aliased with no interaction of two techniques"
            yield f"- {escape(name)} was never varied alone: its effect is estimated by least squares and {with_what}."
    if any(effect.aliased is not None for effect in analysis.effects):
        yield ""


def _together(analysis: Analysis) -> Iterator[str]:
    """Yield which techniques have no effect of their own."""
    for names in analysis.together:
        if len(names) == 1:
            yield from (f"{escape(names[0])} was not varied independently, so its effect cannot be estimated.", "")
        else:
            listed = f"{', '.join(map(escape, names[:-1]))} and {escape(names[-1])}"
            yield from (f"{listed} were not varied independently, so their effects cannot be separated.", "")


def variance_lines(analysis: Analysis) -> Iterator[str]:
    """Yield the section on sources of variance; nothing where only the baseline was run."""
    variances = analysis.variances
    if all(len(record.techniques) == 0 for record in analysis.group.records):
        return
    yield from ("### Sources of variance", "")
    estimable = [one for one in variances if one.shares]
    if not estimable:
        yield from (f"It cannot be estimated: {variances[0].why}.", "")
        return
    heads = ["mean" if one.factor is None else _heading(one.factor, analysis) for one in estimable]
    sources = estimable[-1].shares
    rows = [
        [share.source, "" if share.source == REST else str(share.levels), *(_share(one.shares[i]) for one in estimable)]
        for i, share in enumerate(sources)
    ]
    yield from (
        "Standard deviation of each source in percentage points, and its share of the variance of a single run.", "",
    )  # fmt: skip
    yield from plain_table(["source", "levels", *heads], rows, right=range(1, len(heads) + 2))
    yield ""
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
    yield ""


def versus_lines(table: Table) -> list[str]:
    """Return the tests of the first rows, folded: each row against the reference and against the best row."""
    # One run cannot be tested, and `table.csv` has the differences.
    if not any(gap is not None and gap.half is not None for row in table.rows for gap in (row.delta, row.to_best)):
        return []
    rows = [
        [
            escape(row.label) if row.techniques else "*baseline*",
            *(unbroken(text) for text in _tests(row)),
            runs_text(row, table.expected),
        ]
        for row in table.rows[:FOLD]
    ]
    base = "Δ base" if table.reference == "baseline" else escape(delta_title(table.reference))
    head = ["techniques", base, "p", "d", "Δ best", "p", "d", "n"]
    lines = plain_table(head, rows, right=range(1, 8))
    if len(table.rows) > FOLD:
        lines += ["", f"[`table.csv`](table.csv) has the other {len(table.rows) - FOLD} rows."]
    against = escape(reference_text(table.reference))
    return [*details(f"Tests against {against} and against the best row, with effect sizes", lines), ""]


def more_runs(table: Table) -> list[str]:
    """Return how many more runs a significant difference of the first two rows takes, where they share a rank."""
    ranked = [row for row in table.rows if row.rank is not None]
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
    size, have = abs(gap.mean) / gap.sd, gap.n
    more = _count(runs_needed(size, table.level, gap.df / max(1, have - 1)), have)
    known = f" {have} pairs give only the order of magnitude." if have < 10 else ""
    text = (
        f"The first two rows differ by {percent(abs(gap.mean))}{half_text(gap)}. If this difference and its SD of "
        f"{percent(gap.sd)} are real, {more} pairs of seeds make it significant in 80 % of all repetitions.{known}"
    )
    return [text, ""]


def _count(runs: int | None, have: int) -> str:
    return f"more than {MOST:,}" if runs is None else f"about {max(1, runs - have):,} more"


def _tests(row: Row) -> Iterator[str]:
    for gap, p, size in ((row.delta, row.p, row.effect), (row.to_best, row.p_best, row.effect_best)):
        yield "" if gap is None else signed(gap.mean) + half_text(gap)
        yield "" if gap is None else MISSING if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
        yield "" if gap is None else MISSING if size is None else f"{size + 0.0:.1f}".replace("-", "−")


def _heading(factor: float, analysis: Analysis) -> str:
    place = place_text(factor, analysis.group.data_at(factor))
    return "own counts" if place == OWN_COUNTS else f"IF {factor_text(factor)}"


def _main_table(analysis: Analysis, board: Board) -> tuple[list[str], list[list[str]]]:
    whole = analysis.factor
    factors = analysis.group.factors if whole is None else []
    by_key = {(effect.techniques, effect.factor): effect for effect in analysis.effects}
    table = board.across or board.tables[0]
    alone = {row.label: row.delta for row in table.rows if len(row.techniques) == 1}
    names = list(dict.fromkeys(effect.techniques for effect in analysis.effects))
    rows = []
    for name in names:
        mean = by_key.get((name, whole))
        single = alone.get(name[0])
        rows.append(
            [
                escape(name[0]),
                _text(mean),
                "" if single is None else unbroken(signed(single.mean) + half_text(single)),
                *(_text(by_key.get((name, factor))) for factor in factors),
                MISSING if mean is None else f"{mean.n}/{table.expected}" if mean.n < table.expected else str(mean.n),
                MISSING if mean is None else str(mean.contexts),
            ]
        )
    return ["technique", "on average", "alone", *(f"IF {factor_text(factor)}" for factor in factors), "n", "of"], rows


def _pair_table(effects: Sequence[Effect]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            " × ".join(map(escape, effect.techniques)),
            "all" if effect.factor is None else factor_text(effect.factor),
            _text(effect),
            str(effect.n),
            str(effect.contexts),
        ]
        for effect in effects
    ]
    return ["pair", "IF", "together beyond the sum", "n", "of"], rows


def _folding(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table with the rows from FOLD on folded."""
    right = range(1, len(head))
    lines = plain_table(head, rows[:FOLD], right=right)
    if len(rows) > FOLD:
        lines += ["", *details(f"{len(rows) - FOLD} more rows", plain_table(head, rows[FOLD:], right=right))]
    return lines


def _partial(effects: Sequence[Effect]) -> list[str]:
    """Return a note where some combinations lack pairs of seeds that others have."""
    if all(effect.whole for effect in effects):
        return []
    return ["Some combinations lack pairs of seeds; each pair counts the combinations that it has.", ""]


def _text(effect: Effect | None) -> str:
    if effect is None:
        return MISSING
    half = "" if effect.high is None else f" ± {percent(effect.high - effect.mean)}"
    return unbroken(f"{signed(effect.mean)}{half}{' *' if effect.separated else ''}").replace("*", "\\*")


def _share(share: Share) -> str:
    return unbroken(f"{percent(share.sd)} ({100 * share.share:.0f} %)")
