"""Figures of a page: their selection, places and files. matplotlib is imported only for drawing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ltbench.leaderboard.figures import (
    bars,
    confusion,
    critical_difference,
    curves,
    effects,
    head_to_tail,
    histogram,
    interactions,
    spread,
)
from ltbench.leaderboard.figures.canvas import Drawing
from ltbench.leaderboard.figures.scores import scores_lines
from ltbench.leaderboard.figures.series import Series, choose_series, classes_of, counts_of
from ltbench.leaderboard.statistics.analysis import Analysis, analyse
from ltbench.leaderboard.statistics.mean_ranks import MeanRanks, mean_ranks
from ltbench.leaderboard.statistics.record_groups import RecordGroup, group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import factor_text, place_text
from ltbench.leaderboard.tables.markdown import escape
from ltbench.records.record import Record
from ltbench.suite.published import Combination, parse_figure

FOLDER = "figures"

_Figure = tuple[Any, Callable[[Any], Any], str]
"""Data (None if there are none), function that draws them, and description of a figure."""


class FigureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Figures below the table of one factor of a board; below the table across factors if `factor` is None."""

    group: RecordGroup
    factor: float | None
    drawings: list[Drawing]
    section: str = ""
    """`effects` or `interactions` for figures of that section, which are not below a table."""
    lines: list[str] = []
    """Markdown tables that count as figures."""

    def markdown(self) -> list[str]:
        """Return the lines of the page."""
        shown = [line for one in self.drawings for line in (f"![{escape(one.alt)}]({FOLDER}/{one.name})", "")]
        return [*shown, *self.lines]


def place_figures(
    facts: SuiteFacts, records: Sequence[Record], analyses: Sequence[Analysis] | None = None
) -> list[FigureGroup]:
    """Return the figures of a suite: one of each kind for each data set and factor, of the board with most records.

    analyses: those of the boards, if already computed.
    """
    wanted = [parse_figure(figure) for figure in facts.figures]
    if analyses is None:
        analyses = analyse(group_records(records, facts.metric, facts.columns)) if wanted else []
    groups = [one.group for one in analyses] if wanted else []
    datasets = list(dict.fromkeys(group.dataset for group in groups))
    result = []
    for dataset in datasets:
        boards = [group for group in groups if group.dataset == dataset]
        # max() takes the first of equals: the board that is first on the page.
        fullest = max(boards, key=RecordGroup.ok_count)
        prefix = f"{_slug(dataset)}-" if len(datasets) > 1 else ""
        if ("bars", None) in wanted:
            result += list(_across(facts, fullest, prefix))
        analysis = next(one for one in analyses if one.group is fullest)
        result += [one for one in _effects(analysis, prefix) if (one.section, None) in wanted]
        for factor in sorted({factor for group in boards for factor in group.factors}):
            group = max(boards, key=lambda group: group.ok_count(factor))
            tail = f"{prefix}if{_slug(factor_text(factor))}"
            drawings = [d for name, threshold in wanted for d in _at(name, threshold, facts, group, factor, tail)]
            lines = scores_lines(_pair(facts, group, factor), facts.columns) if ("scores", None) in wanted else []
            if drawings or lines:
                result.append(FigureGroup(group=group, factor=factor, drawings=drawings, lines=lines))
    if ("critical_difference", None) in wanted:
        result += list(_over_datasets(groups))
    return result


def _over_datasets(groups: Sequence[RecordGroup]) -> Iterator[FigureGroup]:
    found = mean_ranks(groups)
    if isinstance(found, MeanRanks):
        data = critical_difference.collect(found)
        alt = f"Mean ranks over {data.datasets} data sets: {'; '.join(data.labels)}"
        drawing = Drawing(kind="critical_difference", name="critical_difference.svg", alt=alt, data=data, draw=critical_difference.draw)  # fmt: skip
        yield FigureGroup(group=groups[0], factor=None, drawings=[drawing], section="critical_difference")


def _across(facts: SuiteFacts, group: RecordGroup, prefix: str) -> Iterator[FigureGroup]:
    factors = group.factors
    shown = choose_series(group, factors, _wanted(facts, group, factors), facts.reference)
    data = bars.collect(shown, factors, group.ranking)
    if data is not None:
        alt = f"{group.ranking.column.full_title} by imbalance factor: {_names(shown)}"
        drawing = Drawing(kind="bars", name=f"{prefix}bars.svg", alt=alt, data=data, draw=bars.draw)
        # Without a table across factors, it is below that of the only factor.
        yield FigureGroup(group=group, factor=None if len(factors) > 1 else factors[0], drawings=[drawing])


def _effects(analysis: Analysis, prefix: str) -> Iterator[FigureGroup]:
    if not analysis.has_averages:
        return
    names = list(dict.fromkeys(effect.techniques[0] for effect in analysis.effects))
    metric = analysis.group.ranking.words
    adds, pairs = (
        effects.collect(analysis.effects, metric),
        interactions.collect(analysis.pairs, analysis.factor, names, data=analysis.group.data_at(analysis.factor)),
    )
    figures: list[_Figure] = [
        (adds, effects.draw, f"What each technique adds to {metric}"),
        (pairs, interactions.draw, "What pairs of techniques add beyond the sum of each"),
    ]
    for kind, (data, draw, what) in zip(("effects", "interactions"), figures, strict=True):
        if data is not None:
            alt = f"{what}: {'; '.join(data.techniques)}"
            drawing = Drawing(kind=kind, name=f"{prefix}{kind}.svg", alt=alt, data=data, draw=draw)
            yield FigureGroup(group=analysis.group, factor=analysis.factor, drawings=[drawing], section=kind)


def _at(
    name: str, threshold: int | None, facts: SuiteFacts, group: RecordGroup, factor: float, tail: str
) -> Iterator[Drawing]:
    data, draw, alt = _collected(name, threshold, facts, group, factor)
    if data is not None:
        text = f"{alt}, {place_text(factor, group.data_at(factor))}"
        yield Drawing(kind=name, name=f"{name}-{tail}.svg", alt=text, data=data, draw=draw)


def _collected(name: str, threshold: int | None, facts: SuiteFacts, group: RecordGroup, factor: float) -> _Figure:
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
        pair = _pair(facts, group, factor)[-1:]
        return confusion.collect(pair), confusion.draw, f"Confusion matrix: {_names(pair)}"
    if name == "before_after":
        pair = _pair(facts, group, factor)
        both = confusion.collect(pair) if len(pair) > 1 else None
        return both, confusion.draw, f"Confusion matrices before and after: {_names(pair)}"
    shown = choose_series(group, [factor], _wanted(facts, group, [factor]), facts.reference)
    if name == "head_to_tail":
        said = {one.label: _printed(facts, group, factor, one) for one in shown}
        lines = head_to_tail.collect(shown, {label: values for label, values in said.items() if values})
        return lines, head_to_tail.draw, f"Accuracy of each class from head to tail: {_names(shown)}"
    if name == "spread":
        return spread.collect(shown), spread.draw, f"Spread of accuracy over the classes: {_names(shown)}"
    return curves.collect(shown) if name == "curves" else None, curves.draw, f"Learning curves: {_names(shown)}"


def _wanted(facts: SuiteFacts, group: RecordGroup, factors: Sequence[float]) -> list[Combination]:
    """Return the combinations to show first: highlighted, published, claimed."""
    first = [] if facts.highlight is None else [facts.highlight]
    printed = [one.techniques for one in facts.reported if one.imbalance_factor in factors and group.matches(one)]
    sides = [side for claim in facts.claims if group.matches(claim) for side in (claim.better, claim.worse)]
    claimed = [side for side in sides if not isinstance(side, str)]
    return [*first, *printed, *claimed]


def _pair(facts: SuiteFacts, group: RecordGroup, factor: float) -> list[Series]:
    """Return the reference and the highlighted combination, or the best other one, if they exist."""
    wanted = [] if facts.highlight is None else [facts.highlight]
    return choose_series(group, [factor], wanted, facts.reference, most=2)


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
