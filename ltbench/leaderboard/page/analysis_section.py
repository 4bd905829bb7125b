"""Sections of a page on effects of techniques, interactions, sources of variance and power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ltbench.leaderboard.figures.interactions import FEWEST as FEWEST_PAIRS
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.effect_size import MOST, runs_needed
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.tests_and_intervals import CONSTANT
from ltbench.leaderboard.statistics.variance import BOTH, FEWEST, REST, SEED, SUBSET, Share, sd_interval
from ltbench.leaderboard.tables.cell_text import (
    MISSING,
    OWN_COUNTS,
    WIDEST,
    delta_title,
    factor_text,
    half_text,
    percent,
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
from ltbench.leaderboard.tables.table import Board, Table

_ADDS = """\
Percentage points of {metric} that switching a technique on adds, everything else as it was, averaged over every
combination of the others that was run with and without it{counts}. ± is the half-width of a simultaneous interval: all
intervals of a column hold together with 95 % confidence. `*`: the interval leaves out zero. *alone* is the difference to
the baseline, with its interval from the table above."""
_MACHINES = """\
Some rows were run on other types of machines than others. Differences between those are no pairs: they are left out of
the effects below, and are part of the rest of the variance."""
_TOGETHER = """\
What two techniques add together beyond the sum of what each adds: above zero they help each other, below zero they
interfere. Averaged as above; the intervals of all pairs at one imbalance factor hold together."""

_MOST_SHARES = WIDEST - 3
"""Imbalance factors in the table of variances."""


def effect_lines(analysis: Analysis, board: Board, figure: Sequence[str], pair_figure: Sequence[str]) -> Iterator[str]:
    """Yield the sections on effects; nothing where the differences to the baseline say the same."""
    if not analysis.has_averages:
        return
    unpaired = [*_MACHINES.splitlines(), ""] if analysis.several_machines else []
    table = board.across or board.tables[0]
    head, rows, counts, more = _main_table(analysis, table)
    yield from ("### What each technique adds", "", *figure, *_folding(head, rows), "")
    text = _ADDS.format(metric=analysis.group.ranking.words, counts=counts)
    yield from (*text.splitlines(), "", *unpaired, *_partial(analysis.effects), *more)
    if not analysis.pairs:
        return
    yield from ("### What pairs add", "", *pair_figure)
    apart = [effect for effect in analysis.pairs if effect.separated]
    # Too few pairs for a heat map are all in the table, significant or not.
    shown = apart if len({effect.techniques for effect in analysis.pairs}) >= FEWEST_PAIRS else analysis.pairs
    if shown:
        yield from (*_folding(*_pair_table(shown, short_labels(table))), "")
    yield from (*_TOGETHER.splitlines(), "")
    if shown:
        yield from _partial(shown)
    tested = sum(effect.p is not None for effect in analysis.pairs)
    every = f"all {len(analysis.pairs)} are in [`effects.csv`](effects.csv)."
    yield f"{len(apart) or 'None'} of {tested} tested {'is' if len(apart) == 1 else 'are'} significant; {every}"
    yield ""


def variance_lines(analysis: Analysis) -> list[str]:
    """Return the sources of variance, folded; nothing where only the baseline was run."""
    if all(len(record.techniques) == 0 for record in analysis.group.records):
        return []
    return [*details("Sources of variance", [*_variance(analysis)]), ""]


def _variance(analysis: Analysis) -> Iterator[str]:
    variances = analysis.variances
    estimable = [one for one in variances if one.shares]
    if not estimable:
        yield f"It cannot be estimated: {variances[0].why}."
        return
    # The last one is the mean over factors, where there are several.
    shown = [*spread(estimable[:-1], _MOST_SHARES), estimable[-1]]
    heads = ["mean" if one.factor is None else _heading(one.factor, analysis) for one in shown]
    sources = estimable[-1].shares
    rows = [
        [share.source, "" if share.source == REST else str(share.levels), *(_share(one.shares[i]) for one in shown)]
        for i, share in enumerate(sources)
    ]
    yield from plain_table(["source", "levels", *heads], rows, right=range(1, len(heads) + 2))
    yield from (
        "", "Standard deviation of each source in percentage points, and its share of the variance of a single run.", "",
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
            *(unbroken(text) for text in _tests(row)),
            *([runs_text(row, table.expected)] if runs else []),
        ]
        for row in (table.rows[i] for i in first)
    ]
    base = "Δ base" if table.reference == "baseline" else escape(delta_title(table.reference))
    head = ["techniques", base, "p", "d", "Δ best", "p", "d", *(["n"] if runs else [])]
    lines = [*plain_table(head, rows, right=range(1, len(head))), "", *more]
    if len(table.rows) > len(first):
        lines += [f"[`table.csv`](table.csv) has the other {len(table.rows) - len(first)} rows.", ""]
    against = escape(reference_text(table.reference))
    return [*details(f"Tests against {against} and against the best row, with effect sizes", lines[:-1]), ""]


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


def _main_table(analysis: Analysis, table: Table) -> tuple[list[str], list[list[str]], str, list[str]]:
    """Return heading and rows of the table of effects, on how much all of them rest, and the folded other factors."""
    whole = analysis.factor
    factors = analysis.group.factors if whole is None else []
    by_key = {(effect.techniques, effect.factor): effect for effect in analysis.effects}
    short = short_labels(table)
    alone = {row.label: row.delta for row in table.rows if len(row.techniques) == 1}
    names = list(dict.fromkeys(effect.techniques for effect in analysis.effects))
    means = [by_key.get((name, whole)) for name in names]
    runs = [MISSING if one is None else _of_all(one.n, table.expected) for one in means]
    contexts = [MISSING if one is None else str(one.contexts) for one in means]
    # What is the same in all rows is said once.
    counted = {head: texts for head, texts in (("n", runs), ("of", contexts)) if len(set(texts)) > 1}
    shown = spread(factors, WIDEST - 3 - len(counted))
    rows = []
    for i, name in enumerate(names):
        single = alone.get(name[0])
        rows.append(
            [
                escape(short.get(name[0], name[0])),
                _text(means[i]),
                "" if single is None else unbroken(signed(single.mean) + half_text(single)),
                *(_text(by_key.get((name, factor))) for factor in shown),
                *(texts[i] for texts in counted.values()),
            ]
        )
    head = ["technique", "on average", "alone", *(f"IF {factor_text(factor)}" for factor in shown), *counted]
    pairs = "*n* pairs of seeds" if "n" in counted else f"{runs[0]} pair{'s' * (runs[0] != '1')} of seeds"
    kept = "*of*" if "of" in counted else f"{contexts[0]} of them"
    if len(shown) == len(factors):
        return head, rows, f" ({kept}), over {pairs}", []
    others = [factor for factor in factors if factor not in shown]
    more = [
        [row[0], *(_text(by_key.get((name, factor))) for factor in others)]
        for name, row in zip(names, rows, strict=True)
    ]
    titles = [f"IF {factor_text(factor)}" for factor in others]
    folded = details(f"More factors: {', '.join(titles)}", plain_table(["technique", *titles], more, right=range(1, len(titles) + 1)))  # fmt: skip
    return head, rows, f" ({kept}), over {pairs}", [*folded, ""]


def _of_all(n: int, expected: int) -> str:
    return f"{n}/{expected}" if n < expected else str(n)


def _pair_table(effects: Sequence[Effect], short: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            " × ".join(escape(short.get(name, name)) for name in effect.techniques),
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
