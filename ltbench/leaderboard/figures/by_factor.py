"""The ranking metric by imbalance factor, with the intervals of the table: the figure that shows a page's answer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.figures.canvas import GRID, figure, title, wrapped
from ltbench.leaderboard.figures.line_labels import LINE, LineEnd, label_ends, labels_height
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.series import Point, Series, point, seeds_text
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.tables.cell_text import axis_title, factor_text, half_text, number_text, place_text, scale
from ltbench.leaderboard.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DODGE = 0.016
"""Distance of two series at one factor, in widths of the axis."""
_NAME = 28
_CLOSE = 0.07
"""Values nearer than this, in widths of the axis, share a tick."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A combination, with a point for each factor; None without a number."""

    name: str
    look: Look
    points: list[Point | None]
    text: str = ""
    """The number of the table, where there is a single factor."""


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reference first."""

    factors: list[float]
    lines: list[Line]
    metric: str
    higher_is_better: bool
    seeds: str
    """Runs, in words."""
    where: str
    """The imbalance factor in words, where there is one."""
    unit: Unit = "percent"


def collect(shown: Sequence[Series], tables: Sequence[Table]) -> Data | None:
    """Return the data of the figure; None without a number. tables: those of single factors, lowest first."""
    ranking = tables[0].ranking
    rows = [{row.label: row.scores[ranking.name] for row in table.rows} for table in tables]
    single = len(rows) == 1
    lines = [
        Line(name=one.short, look=one.look, points=[point(here.get(one.label)) for here in rows],
             text=_text(rows[0].get(one.label), ranking.unit) if single else "")
        for one in shown
    ]  # fmt: skip
    lines = [line for line in lines if any(line.points)]
    if not lines:
        return None
    factors = [table.factor or 1.0 for table in tables]
    return Data(factors=factors, lines=lines, metric=ranking.column.full_title, higher_is_better=ranking.sign > 0,
                seeds=seeds_text(shown), where=place_text(factors[0], tables[0].data) if single else "", unit=ranking.unit)  # fmt: skip


def _text(found: Estimate | None, unit: Unit) -> str:
    return "" if found is None else f"{number_text(found.mean, unit)}{half_text(found, unit)}"


def how_sure(points: Sequence[Point | None], seeds: str, mean: str = "mean") -> str:
    """Return what the points of a figure are: `mean, 95 % interval, 3 seeds`. mean: over what, in words."""
    with_interval = any(one is not None and one.low is not None for one in points)
    return ", ".join([mean, *(["95 % interval"] if with_interval else []), seeds])


def draw(data: Data) -> Figure:
    """Draw lines over a logarithmic axis of the factor; of a single factor, a point for each combination, best on top."""
    return _draw_points(data) if len(data.factors) == 1 else _draw_lines(data)


def _draw_lines(data: Data) -> Figure:
    times = scale(data.unit)
    made = figure(max(4.3, labels_height([line.name for line in data.lines]) + 1.5))
    axes = made.subplots()
    low, high = math.log(data.factors[0]), math.log(data.factors[-1])
    step = min(_DODGE * (high - low), _nearest(data.factors) / (len(data.lines) + 1))
    ends = []
    for number, line in enumerate(data.lines):
        shift = math.exp(step * (number - (len(data.lines) - 1) / 2))
        there = [(f * shift, one) for f, one in zip(data.factors, line.points, strict=True) if one is not None]
        look: dict[str, Any] = {"color": line.look.color, "marker": line.look.marker}
        _intervals(axes, there, line.look.color, times)
        axes.plot([x for x, _ in there], [times * one.mean for _, one in there], linewidth=2.2, markersize=8,
                  linestyle=line.look.line, **look)  # fmt: skip
        ends.append(LineEnd(line.name, there[-1][0], times * there[-1][1].mean, look))
    axes.set_xscale("log")
    margin = math.exp(0.04 * (high - low) + step * len(data.lines) / 2)
    axes.set_xlim(data.factors[0] / margin, data.factors[-1] * margin)
    ticks = spaced(data.factors)
    axes.set_xticks(ticks, [factor_text(factor) for factor in ticks])
    axes.minorticks_off()
    axes.grid(axis="y", **GRID)
    axes.set_ylim(*within(*axes.get_ylim(), data.unit))
    axes.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
    axes.set_xlabel("imbalance factor (log scale)")
    axes.set_ylabel(axis_title(data.metric, data.unit))
    points = [one for line in data.lines for one in line.points]
    title(made, f"{data.metric} by imbalance factor ({how_sure(points, data.seeds)})")
    label_ends(made, axes, ends)
    return made


def _intervals(axes: Axes, there: Sequence[tuple[float, Point]], color: str, times: int) -> None:
    for x, one in there:
        axes.errorbar([x], [times * one.mean], one.bars(times), linestyle="", color=color, elinewidth=1.6, capsize=3)


def _nearest(factors: Sequence[float]) -> float:
    """Return the smallest distance of two factors, in logarithms."""
    return min(math.log(b / a) for a, b in itertools.pairwise(factors))


def within(low: float, high: float, unit: Unit) -> tuple[float, float]:
    """Return the limits of an axis; in percent without the room beyond 0 and 100 that only intervals reach."""
    return (max(low, -1.0), min(high, 101.0)) if unit == "percent" else (low, high)


def spaced(values: Sequence[float], room: float = _CLOSE) -> list[float]:
    """Return the values that have a tick on a logarithmic axis: all, or without those whose texts would touch.

    values: ascending; room: what a text takes, in widths of the axis.
    """
    least = room * math.log(values[-1] / values[0])
    shown: list[float] = []
    for value in reversed(values):
        if not shown or math.log(shown[-1] / value) >= least:
            shown.append(value)
    return shown[::-1]


def _draw_points(data: Data) -> Figure:
    sign = -1 if data.higher_is_better else 1
    found = [(line, one) for line in data.lines for one in line.points if one is not None]
    found.sort(key=lambda pair: (sign * pair[1].mean, pair[0].name))
    times = scale(data.unit)
    names = [wrapped(line.name, _NAME) for line, _ in found]
    made = figure(1.35 + sum(0.22 + LINE * len(name) for name in names))
    axes = made.subplots()
    for place, (line, one) in enumerate(found):
        if line.look.is_reference:
            axes.axvline(times * one.mean, color=line.look.color, linewidth=1.0, linestyle=":")
        axes.errorbar([times * one.mean], [place], xerr=one.bars(times), linestyle="", color=line.look.color,
                      elinewidth=2.2, capsize=4)  # fmt: skip
        axes.plot([times * one.mean], [place], marker=line.look.marker, markersize=9, color=line.look.color)
        axes.text(1.02, place, line.text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(found)), ["\n".join(name) for name in names])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.set_xlim(*within(*axes.get_xlim(), data.unit))
    axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
    axes.grid(axis="x", **GRID)
    axes.set_xlabel(axis_title(data.metric, data.unit))
    title(made, f"{data.metric} at {data.where} ({how_sure([one for _, one in found], data.seeds)})")
    return made
