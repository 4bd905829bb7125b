"""Figures of a page: their selection, places and files. matplotlib is imported only for drawing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ltbench.leaderboard.figures import (
    by_factor,
    confusion,
    cost,
    critical_difference,
    curves,
    effects,
    head_to_tail,
    histogram,
    interactions,
    spread,
)
from ltbench.leaderboard.figures.canvas import Drawing
from ltbench.leaderboard.figures.relative_cost import costs
from ltbench.leaderboard.figures.scores import scores_lines
from ltbench.leaderboard.figures.series import Series, classes_of, counts_of, in_seeds, runs_text, seeds_text
from ltbench.leaderboard.figures.shown import ShownOnPage
from ltbench.leaderboard.statistics.analysis import Analysis, analyse
from ltbench.leaderboard.statistics.mean_ranks import MeanRanks, mean_ranks
from ltbench.leaderboard.statistics.record_groups import RecordGroup, group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import factor_text, place_text
from ltbench.leaderboard.tables.markdown import escape
from ltbench.leaderboard.tables.table import Board, make_boards
from ltbench.records.record import Record
from ltbench.suite.published import parse_figure

FOLDER = "figures"

_Figure = tuple[Any, Callable[[Any], Any], str]
"""Data (None if there are none), function that draws them, and description of a figure."""


class FigureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Figures below the table of one factor of a board; below the table across factors if `factor` is None."""

    group: RecordGroup
    factor: float | None
    drawings: list[Drawing]
    section: str = ""
    """`effects`, `interactions` or `cost` for figures of that section, which are not below a table."""
    lines: list[str] = []
    """Markdown tables that count as figures."""

    def markdown(self) -> list[str]:
        """Return the lines of the page."""
        shown = [line for one in self.drawings for line in (f"![{escape(one.alt)}]({FOLDER}/{one.name})", "")]
        return [*shown, *self.lines]


def place_figures(
    facts: SuiteFacts,
    records: Sequence[Record],
    analyses: Sequence[Analysis] | None = None,
    boards: Sequence[Board] | None = None,
) -> list[FigureGroup]:
    """Return the figures of a suite: one of each kind for each data set and factor, of the board with most records.

    analyses, boards: those of the records, if already computed. Figures show the numbers of their tables.
    """
    wanted = [parse_figure(figure) for figure in facts.figures]
    if not wanted:
        return []
    if analyses is None:
        analyses = analyse(group_records(records, facts.metric, facts.columns), facts.screen_pairs)
    if boards is None:
        boards = make_boards(records, facts.seeds, facts.columns, facts.reference, facts.metric, facts.method_parts)
    page = ShownOnPage(facts, [one.group for one in analyses], boards)
    datasets = list(dict.fromkeys(group.dataset for group in page.groups))
    result = []
    for dataset in datasets:
        groups = [group for group in page.groups if group.dataset == dataset]
        # max() takes the first of equals: the board that is first on the page.
        fullest = max(groups, key=RecordGroup.ok_count)
        prefix = f"{_slug(dataset)}-" if len(datasets) > 1 else ""
        analysis = next(one for one in analyses if one.group is fullest)
        found = [*_across(page, fullest, prefix), *_effects(page, analysis, prefix)]
        result += [one for one in found if (one.drawings[0].kind, None) in wanted]
        for factor in sorted({factor for group in groups for factor in group.factors}):
            group = max(groups, key=lambda group: group.ok_count(factor))
            tail = f"{prefix}if{_slug(factor_text(factor))}"
            drawings = [d for name, threshold in wanted for d in _at(name, threshold, page, group, factor, tail)]
            lines = scores_lines(page.pair(group, factor), facts.columns) if ("scores", None) in wanted else []
            if drawings or lines:
                result.append(FigureGroup(group=group, factor=factor, drawings=drawings, lines=lines))
    if ("critical_difference", None) in wanted:
        result += list(_over_datasets(page.groups))
    return result


def _over_datasets(groups: Sequence[RecordGroup]) -> Iterator[FigureGroup]:
    found = mean_ranks(groups)
    if isinstance(found, MeanRanks):
        data = critical_difference.collect(found)
        alt = f"Mean ranks over {data.datasets} data sets: {'; '.join(data.labels)}"
        drawing = Drawing(kind="critical_difference", name="critical_difference.svg", alt=alt, data=data, draw=critical_difference.draw)  # fmt: skip
        yield FigureGroup(group=groups[0], factor=None, drawings=[drawing], section="critical_difference")


def _across(page: ShownOnPage, group: RecordGroup, prefix: str) -> Iterator[FigureGroup]:
    board, factors = page.board(group), group.factors
    metric, shown = group.ranking.column.full_title, page.series(group)
    # Without a table across factors, the figures are below that of the only factor.
    factor = None if len(factors) > 1 else factors[0]
    if not shown:
        return
    data = by_factor.collect(shown, board.tables)
    if data is not None:
        what = f"{metric} by imbalance factor" if factor is None else metric
        drawing = Drawing(
            kind="bars", name=f"{prefix}bars.svg", alt=f"{what}: {_names(shown)}", data=data, draw=by_factor.draw
        )  # fmt: skip
        yield FigureGroup(group=group, factor=factor, drawings=[drawing])
    table = board.main_table
    dear = cost.collect(
        table, costs(group.records), [one.label for one in shown], page.looks, page.names, seeds_text(shown)
    )
    if dear is not None:
        named = [place.name for place in dear.places if place.look]
        alt = f"{metric} against {' and '.join(dear.panels)} cost: {'; '.join(named)}"
        drawing = Drawing(kind="cost", name=f"{prefix}cost.svg", alt=alt, data=dear, draw=cost.draw)
        yield FigureGroup(group=group, factor=factor, drawings=[drawing], section="cost")


def _effects(page: ShownOnPage, analysis: Analysis, prefix: str) -> Iterator[FigureGroup]:
    if not analysis.has_averages:
        return
    group, factor = analysis.group, analysis.factor
    names = {name: page.short[name] for effect in analysis.effects for name in effect.techniques}
    metric = group.ranking.words
    adds, pairs = (
        in_seeds(runs_text(effect.n for effect in found), group.records) if found else ""
        for found in (analysis.effects, [pair for pair in analysis.pairs if pair.factor == factor])
    )
    figures: list[_Figure] = [
        (
            effects.collect(analysis.effects, page.looks, names, metric, adds, unit=group.ranking.unit),
            effects.draw,
            f"What each technique adds to {metric}",
        ),
        (
            interactions.collect(
                analysis.pairs, factor, names, pairs, data=group.data_at(factor), ranking=group.ranking
            ),
            interactions.draw,
            "What pairs of techniques add beyond the sum of each",
        ),
    ]
    for kind, (data, draw, what) in zip(("effects", "interactions"), figures, strict=True):
        if data is not None:
            alt = f"{what}: {'; '.join(data.techniques)}"
            drawing = Drawing(kind=kind, name=f"{prefix}{kind}.svg", alt=alt, data=data, draw=draw)
            yield FigureGroup(group=group, factor=factor, drawings=[drawing], section=kind)


def _at(
    name: str, threshold: int | None, page: ShownOnPage, group: RecordGroup, factor: float, tail: str
) -> Iterator[Drawing]:
    data, draw, alt = _collected(name, threshold, page, group, factor)
    if data is not None:
        text = f"{alt}, {place_text(factor, group.data_at(factor))}"
        yield Drawing(kind=name, name=f"{name}-{tail}.svg", alt=text, data=data, draw=draw)


def _collected(name: str, threshold: int | None, page: ShownOnPage, group: RecordGroup, factor: float) -> _Figure:
    """Return data, function and description of a figure at one factor; no data for other figures."""
    if name in ("histogram", "resampling", "bags"):
        records = [record for record in group.records if record.setting.imbalance_factor == factor]
        counts = counts_of(records)
        data = histogram.collect(classes_of(records, len(counts)), counts, threshold)
        draw, alt = {
            "histogram": (histogram.draw, "Training images of each class"),
            "resampling": (histogram.draw_resampling, f"Resampling to {threshold} images of each class"),
            "bags": (histogram.draw_bags, f"Balanced bags for a threshold of {threshold} images"),
        }[name]
        return data, draw, alt
    if name == "confusion":
        pair = page.pair(group, factor)[-1:]
        return confusion.collect(pair), confusion.draw, f"Confusion matrix: {_names(pair)}"
    if name == "before_after":
        pair = page.pair(group, factor)
        both = confusion.collect(pair) if len(pair) > 1 else None
        return both, confusion.draw, f"Confusion matrices before and after: {_names(pair)}"
    if name == "head_to_tail":
        shown = page.series(group, factor, most=head_to_tail.MOST)
        said = {one.label: _printed(page.facts, group, factor, one) for one in shown}
        where = place_text(factor, group.data_at(factor))
        lines = head_to_tail.collect(shown, {label: values for label, values in said.items() if values}, where)
        return lines, head_to_tail.draw, f"Accuracy of each class from head to tail: {_names(shown)}"
    shown, where = page.series(group, factor), place_text(factor, group.data_at(factor))
    if name == "spread":
        return spread.collect(shown, where), spread.draw, f"Spread of accuracy over the classes: {_names(shown)}"
    return curves.collect(shown, where) if name == "curves" else None, curves.draw, f"Learning curves: {_names(shown)}"


def _printed(facts: SuiteFacts, group: RecordGroup, factor: float, shown: Series) -> Sequence[float]:
    labels = {label for _, label in shown.records[0].techniques}
    return next(
        (
            one.per_class
            for one in facts.reported
            if one.per_class and one.imbalance_factor == factor and set(one.techniques) == labels and group.matches(one)
        ),
        (),
    )


def _names(shown: Sequence[Series]) -> str:
    return "; ".join(one.label for one in shown)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", text.lower()).strip("_.")
