"""Published numbers and claims of a report beside the measured ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ltbench.columns import CLASS_ACCURACY, TOP1, Column, Unit
from ltbench.core.row_labels import row_label
from ltbench.costs import is_cost
from ltbench.leaderboard.figures.series import classes_of
from ltbench.leaderboard.page.claim_counts import count_claims, counts_text
from ltbench.leaderboard.page.claim_size import NO_SIZE
from ltbench.leaderboard.page.claim_verdicts import FAILS, HOLDS, Verdict
from ltbench.leaderboard.statistics.estimates import Estimate, estimate
from ltbench.leaderboard.statistics.ranking import words_of
from ltbench.leaderboard.statistics.record_groups import RecordGroup, matching_groups
from ltbench.leaderboard.tables.cell_text import MISSING, factor_text, half_text, number_text, percent, signed
from ltbench.leaderboard.tables.markdown import details, escape, plain_table, unbroken
from ltbench.records.comparability import ROW_STAGES
from ltbench.suite.published import Combination, Reported

_JUDGED = """\
A claim is judged twice by the interval of the difference between its two combinations. **Direction**: it *holds* where
the whole interval is on the claimed side of zero, *does not hold* where it is on the other side, and is *undecided*
otherwise. **Size**, where the report prints one: the printed difference is *within the interval*, or the measured one is
*smaller*, *larger* or *opposite* (the whole interval is on the other side of zero). The intervals are those of the tables,
simultaneous over all pairs of rows. Differences are in percentage points."""
_OWN_UNIT = "Those of scores that are no fractions are in the unit of the score."


def published_lines(
    reported: Sequence[Reported],
    judged: Sequence[Verdict],
    groups: Sequence[RecordGroup],
    columns: Iterable[Column] = (),
) -> list[str]:
    """Return the section of a page on a report: its claims, and the numbers that no table of the page shows.

    Empty if the suite has neither. judged: what `judge` returns for its claims.
    """
    columns = tuple(columns)
    titles = {column.name: metric_text(column) for column in columns}
    units = {column.name: column.unit for column in columns}
    named = {*(verdict.claim.metric for verdict in judged), *(one.metric for one in reported)}
    for cost in filter(is_cost, named):
        titles[cost], units[cost] = words_of(cost, columns), "plain"
    own_unit = [_OWN_UNIT] if any(units.get(verdict.claim.metric) == "plain" for verdict in judged) else []
    lines = []
    if judged:
        lines += [
            counts_text(count_claims(judged)),
            "",
            *_claim_table(judged, stage_order(groups), titles, units),
            "",
            *details("How claims are judged", [*_JUDGED.splitlines(), *own_unit]),
            "",
        ]
    rest = [one for one in reported if not _is_in_a_table(one, groups, columns)]
    if rest:
        lines += ["### Numbers that no table has", "", *_number_table(rest, groups, titles, units), ""]
    lines += _by_class(reported, groups)
    return ["## Against the report", "", *lines] if lines else []


def _is_in_a_table(one: Reported, groups: Sequence[RecordGroup], columns: Sequence[Column]) -> bool:
    """Return whether a table of the page has a row for a published number."""
    shown = {column.name for column in columns if column.shown in ("main", "folded") and not column.per_class}
    return any(
        one.imbalance_factor in group.factors and one.metric in {group.ranking.name, *shown}
        for group, _ in matching_groups(one, groups)
    )


def label(techniques: Combination, order: Mapping[str, int] = {}) -> str:
    """Return a combination as a table writes it."""
    return row_label(sorted(techniques, key=lambda name: (order.get(name, 0), name)))


def metric_text(column: Column) -> str:
    """Return the name of a score as it is written within a line."""
    title = column.title if column.name == TOP1 else column.full_title
    # An abbreviation keeps its capitals.
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def stage_order(groups: Sequence[RecordGroup]) -> dict[str, int]:
    """Return technique -> place of its stage, the order in which a combination is written."""
    techniques = {pair for group in groups for record in group.records for pair in record.techniques}
    return {name: ROW_STAGES.index(stage) for stage, name in sorted(techniques)}


def _claim_table(
    judged: Sequence[Verdict], order: Mapping[str, int], titles: Mapping[str, str], units: Mapping[str, Unit]
) -> list[str]:
    runs = [0 if one.measured is None else one.measured.n for one in judged]
    rows, before = [], None
    for one, n in zip(judged, runs, strict=True):
        claim, unit = one.claim, units.get(one.claim.metric, "percent")
        text = "" if claim is before else escape(claim.text) + (f" ({escape(claim.note)})" if claim.note else "")
        sign = {"=": "=", "+": ">", "-": "<"}[claim.sign]
        worse = "all others" if isinstance(claim.worse, str) else label(claim.worse, order)
        sides = f"{label(claim.better, order)} {sign} {worse}"
        factor = f"IF {factor_text(one.factor)}" if one.factor is not None else "mean" if claim.pooled else MISSING
        margin = f" ± {number_text(claim.within, unit)}" if claim.within else ""
        least = "≥ " if claim.at_least else ""
        rows.append(
            [
                text,
                f"{escape(sides)}{margin}, {escape(titles.get(claim.metric, claim.metric))}",
                _place(factor, one.where),
                MISSING if one.published is None else unbroken(least + signed(one.published, unit)),
                MISSING
                if one.measured is None
                else unbroken(signed(one.measured.mean, unit) + half_text(one.measured, unit)),
                *_count(n, runs),
                _direction(one),
                one.why_no_size if one.size == NO_SIZE else f"**{one.size}**",
            ]
        )
        before = claim
    head = ["claim", "as measured", "where", "reported Δ", "measured Δ", *_count("n", runs), "direction", "size"]
    return plain_table(head, rows, right=range(3, len(head) - 2))


def _place(factor: str, where: str) -> str:
    return unbroken(factor) + (f", {escape(where)}" if where else "")


def _count(cell: object, runs: Sequence[int]) -> list[str]:
    """Return the cell of a column of runs, which is only there where these differ."""
    return [str(cell)] if len(set(runs)) > 1 else []


def _direction(one: Verdict) -> str:
    words = f"**{one.direction}**" if one.direction in (HOLDS, FAILS) else one.direction
    remarks = [*([escape(one.remark)] if one.remark else []), *(["counted above"] if one.repeated else [])]
    return words + (f" ({'; '.join(remarks)})" if remarks else "")


def _number_table(
    reported: Sequence[Reported], groups: Sequence[RecordGroup], titles: Mapping[str, str], units: Mapping[str, Unit]
) -> list[str]:
    order = stage_order(groups)
    found = [(one, where, measured) for one in reported for where, measured in _measured(one, groups)]
    runs = [0 if measured is None else measured.n for *_, measured in found]
    rows, notes = [], dict[str, int]()
    for (one, where, measured), n in zip(found, runs, strict=True):
        mark = f" <sup>{notes.setdefault(one.note, len(notes) + 1)}</sup>" if one.note else ""
        gap = None if measured is None else measured.mean - one.number
        unit = units.get(one.metric, "percent")
        rows.append(
            [
                escape(one.source) + mark,
                escape(label(one.techniques, order)),
                _place(f"IF {factor_text(one.imbalance_factor)}", where),
                escape(titles.get(one.metric, one.metric)),
                number_text(one.number, unit),
                MISSING if measured is None else unbroken(number_text(measured.mean, unit) + half_text(measured, unit)),
                *_count(n, runs),
                MISSING if gap is None else signed(gap, unit),
            ]
        )
    head = ["source", "techniques", "where", "score", "reported", "measured", *_count("n", runs), "difference"]
    lines = plain_table(head, rows, right=range(4, len(head)))
    return lines + (["", *(f"- <sup>{i}</sup> {escape(note)}" for note, i in notes.items())] if notes else [])


def _measured(one: Reported, groups: Sequence[RecordGroup]) -> list[tuple[str, Estimate | None]]:
    scores = [
        (name, group.scores(one.techniques, one.imbalance_factor, one.metric))
        for group, name in matching_groups(one, groups)
    ]
    return [(name, estimate(by_run.values())) for name, by_run in scores if by_run] or [("", None)]


def _by_class(reported: Sequence[Reported], groups: Sequence[RecordGroup]) -> Iterator[str]:
    """Yield, folded, the accuracies of the classes that the report prints."""
    order = stage_order(groups)
    for one in (one for one in reported if one.per_class):
        for group, name in matching_groups(one, groups):
            records = group.ok_records(one.techniques, one.imbalance_factor)
            by_run = [(r, r.per_class.get(CLASS_ACCURACY, [])) for r in records]
            by_run = [(r, values) for r, values in by_run if len(values) == len(one.per_class)]
            if not by_run:
                continue
            records = [r for r, _ in by_run]
            classes = classes_of(records, len(one.per_class))
            rows = []
            for c, (title, published) in enumerate(zip(classes, one.per_class, strict=True)):
                values = [v for _, accuracies in by_run if (v := accuracies[c]) is not None]
                mean = math.fsum(values) / len(values) if values else None
                gap = MISSING if mean is None else signed(mean - published)
                rows.append([escape(title), percent(published), MISSING if mean is None else percent(mean), gap])
            what = f"{escape(one.source)}, class by class: {escape(label(one.techniques, order))}"
            what += f", imbalance factor {factor_text(one.imbalance_factor)}" + (f", {escape(name)}" if name else "")
            yield from details(
                what, plain_table(["class", "reported", "measured", "difference"], rows, right=[1, 2, 3])
            )
            yield ""
