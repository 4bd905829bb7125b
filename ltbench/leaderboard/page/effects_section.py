"""Sections of a page on the effects of techniques and their interactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ltbench.columns import Unit
from ltbench.leaderboard.figures.interactions import FEWEST as FEWEST_PAIRS
from ltbench.leaderboard.page.answer_changes import aliased_text, inseparable, joined
from ltbench.leaderboard.statistics.aliasing import ScreenFit
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.tables.cell_text import (
    MISSING,
    WIDEST,
    factor_text,
    half_text,
    number_text,
    reference_text,
    signed,
    spread,
)
from ltbench.leaderboard.tables.markdown import FOLD, LISTED, details, escape, plain_table, unbroken
from ltbench.leaderboard.tables.short_labels import short_labels
from ltbench.leaderboard.tables.table import Board, Table

_ADDS = """\
{points} {metric} that switching a technique on adds, everything else as it was, {how}{counts}."""
_AVERAGED = "averaged over every combination of the others that was run with and without it"
_FITTED = "estimated by least squares without interactions"
_SCREENED = "estimated by least squares from the rows of a screening design"
_INTERVALS = """\
± is the half-width of a simultaneous interval: all intervals of a column hold together with 95 % confidence. `*`: the
interval leaves out zero."""
_ALONE = "*alone* is the difference of its row to {reference}, with its interval from the table above."
_ALONE_HEAD = "alone"
_MACHINES = """\
Some rows were run on other types of machines than others. Differences between those are no pairs: they are left out of
these effects, and are part of the rest of the variance."""
_TOGETHER = """\
What two techniques add together beyond the sum of what each adds: {above} zero they help each other, {below} zero they
interfere. {how} as above; the intervals of all pairs at one imbalance factor hold together."""
_AROUND = """\
Their error is how much rows differ from the sum of the effects, so it has what the model leaves out."""
_SHARES = 10
"""Most interactions whose share in an estimate is named."""


def effect_lines(analysis: Analysis, board: Board, figure: Sequence[str], pair_figure: Sequence[str]) -> Iterator[str]:
    """Yield the sections on effects; nothing where the differences to the baseline say the same."""
    if not analysis.has_averages:
        if analysis.together:
            yield from ("### What each technique adds", "", *_together(analysis))
        return
    unit = analysis.group.ranking.unit
    unpaired = [*_MACHINES.splitlines(), ""] if analysis.several_machines else []
    table = board.main_table
    head, rows, counts, more = _main_table(analysis, table)
    yield from ("### What each technique adds", "", *figure, *_folding(head, rows), "")
    yield _ADDS.format(
        points="Percentage points of" if unit == "percent" else "Change of",
        metric=analysis.group.ranking.words,
        how=_how(analysis),
        counts=counts,
    )
    if any(effect.p is not None for effect in analysis.effects):
        yield from _INTERVALS.splitlines()
        if analysis.screen is not None:
            yield _AROUND
    if _ALONE_HEAD in head:
        yield _ALONE.format(reference=escape(reference_text(table.reference)))
    yield from ("", *unpaired, *_partial(analysis.effects), *_aliases(analysis), *more)
    yield from _together(analysis)
    if not analysis.pairs:
        return
    yield from ("### What pairs add", "", *pair_figure)
    apart = [effect for effect in analysis.pairs if effect.separated]
    # Too few pairs for a heat map are all in the table, significant or not.
    shown = apart if len({effect.techniques for effect in analysis.pairs}) >= FEWEST_PAIRS else analysis.pairs
    if shown:
        yield from (*_folding(*_pair_table(_largest(shown), short_labels(table), unit)), "")
    above, below = ("above", "below") if analysis.group.ranking.sign > 0 else ("below", "above")
    how = "Averaged" if analysis.screen is None else "Estimated"
    yield from (*_TOGETHER.format(how=how, above=above, below=below).splitlines(), "")
    if shown:
        yield from _partial(shown)
    tested = sum(effect.p is not None for effect in analysis.pairs)
    found = f"{len(apart) or 'None'} of {tested} tested {'is' if len(apart) == 1 else 'are'} significant"
    listed = f" The {LISTED} largest are listed." if len(shown) > LISTED else ""
    yield f"{found if tested else 'None can be tested'}; [`effects.csv`](effects.csv) has all of them.{listed}"
    yield ""


def _largest(pairs: Sequence[Effect]) -> list[Effect]:
    """Return the pairs that a page lists, in their order."""
    smallest = sorted((abs(effect.mean) for effect in pairs), reverse=True)[:LISTED][-1]
    return [effect for effect in pairs if abs(effect.mean) >= smallest][:LISTED]


def _how(analysis: Analysis) -> str:
    if analysis.screen is not None:
        return _SCREENED
    return _AVERAGED if any(effect.contexts for effect in analysis.effects) else _FITTED


def _aliases(analysis: Analysis) -> Iterator[str]:
    """Yield what the effects are aliased with that only least squares estimates."""
    if analysis.screen is not None:
        yield from _screen_aliases(analysis.screen)
        return
    same: dict[str, list[str]] = {}
    for effect in analysis.effects:
        if effect.aliased is not None and effect.factor == analysis.factor:
            pairs = aliased_text([(escape(one), escape(two)) for one, two in effect.aliased])
            same.setdefault(pairs, []).append(escape(effect.techniques[0]))
    for with_what, names in same.items():
        was, effects = ("was", "its effect is") if len(names) == 1 else ("were", "their effects are")
        fitted = "estimated by least squares and aliased with"
        yield f"- {joined(names)} {was} never varied alone: {effects} {fitted} {with_what}."
    if any(effect.aliased is not None for effect in analysis.effects):
        yield ""


def _screen_aliases(screen: ScreenFit) -> Iterator[str]:
    """Yield which interactions are in the estimates of a screening design."""
    if not screen.aliases:
        return
    largest = [
        f"{' × '.join(map(escape, one.pair))} ({_share(one.share)} of it in {' × '.join(map(escape, one.effect))})"
        for one in screen.aliases[:_SHARES]
    ]
    yield (
        f"- The interactions of {len(screen.aliases)} other pairs of techniques are aliased with these effects; the "
        f"largest shares have {joined(largest)}."
    )
    yield ""


def _share(share: float) -> str:
    return f"{share:+.2f}".replace("-", "−")


def _together(analysis: Analysis) -> Iterator[str]:
    """Yield which techniques have no effect of their own."""
    for names in analysis.together:
        yield from (inseparable(list(map(escape, names))), "")


def _main_table(analysis: Analysis, table: Table) -> tuple[list[str], list[list[str]], str, list[str]]:
    """Return heading and rows of the table of effects, on how much all of them rest, and the folded other factors."""
    whole, unit = analysis.factor, analysis.group.ranking.unit
    factors = analysis.group.factors if whole is None else []
    by_key = {(effect.techniques, effect.factor): effect for effect in analysis.effects}
    short = short_labels(table)
    alone = {row.label: row.delta for row in table.rows if len(row.techniques) == 1}
    names = list(dict.fromkeys(effect.techniques for effect in analysis.effects))
    means = [by_key.get((name, whole)) for name in names]
    runs = [MISSING if one is None else _of_all(one.n, table.expected) for one in means]
    contexts = [MISSING if one is None or not one.contexts else str(one.contexts) for one in means]
    # What is the same in all rows is said once.
    counted = {head: texts for head, texts in (("n", runs), ("of", contexts)) if len(set(texts)) > 1}
    shown = spread(factors, WIDEST - 3 - len(counted))
    rows = []
    for i, name in enumerate(names):
        single = alone.get(name[0])
        rows.append(
            [
                escape(short.get(name[0], name[0])),
                _text(means[i], unit),
                "" if single is None else unbroken(signed(single.mean, unit) + half_text(single, unit)),
                *(_text(by_key.get((name, factor)), unit) for factor in shown),
                *(texts[i] for texts in counted.values()),
            ]
        )
    alone_too = any(row[2] for row in rows)
    if not alone_too:
        rows = [[*row[:2], *row[3:]] for row in rows]
    head = [
        "technique",
        "on average",
        *([_ALONE_HEAD] if alone_too else []),
        *(f"IF {factor_text(factor)}" for factor in shown),
        *counted,
    ]
    pairs = "*n* pairs of seeds" if "n" in counted else f"{runs[0]} pair{'s' * (runs[0] != '1')} of seeds"
    kept = " (*of*)" if "of" in counted else "" if contexts[0] == MISSING else f" ({contexts[0]} of them)"
    counts = f"{kept}, over {pairs}"
    if len(shown) == len(factors):
        return head, rows, counts, []
    others = [factor for factor in factors if factor not in shown]
    more = [
        [row[0], *(_text(by_key.get((name, factor)), unit) for factor in others)]
        for name, row in zip(names, rows, strict=True)
    ]
    titles = [f"IF {factor_text(factor)}" for factor in others]
    folded = details(f"More factors: {', '.join(titles)}", plain_table(["technique", *titles], more, right=range(1, len(titles) + 1)))  # fmt: skip
    return head, rows, counts, [*folded, ""]


def _of_all(n: int, expected: int) -> str:
    return f"{n}/{expected}" if n < expected else str(n)


def _pair_table(effects: Sequence[Effect], short: Mapping[str, str], unit: Unit) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            " × ".join(escape(short.get(name, name)) for name in effect.techniques),
            "all" if effect.factor is None else factor_text(effect.factor),
            _text(effect, unit),
            str(effect.n),
            str(effect.contexts or MISSING),
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


def _text(effect: Effect | None, unit: Unit) -> str:
    if effect is None:
        return MISSING
    half = "" if effect.high is None else f" ± {number_text(effect.high - effect.mean, unit)}"
    return unbroken(f"{signed(effect.mean, unit)}{half}{' *' if effect.separated else ''}").replace("*", "\\*")
