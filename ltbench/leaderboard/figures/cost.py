"""The ranking metric against the cost of training and of prediction, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.figures.by_factor import how_sure, spaced
from ltbench.leaderboard.figures.canvas import GRID, figure, legend, legend_height, shortened, title
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.relative_cost import LEAST, Cost
from ltbench.leaderboard.figures.series import Point, point
from ltbench.leaderboard.tables.cell_text import axis_title, scale
from ltbench.leaderboard.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 9
"""Most combinations with a name."""
_DODGE = 0.012
"""Distance of points of one cost, in widths of the axis."""
_EXACT = 6
"""Most different costs that each have a tick of their own."""
_ROUND = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
_OTHER = "#b5b5b5"
_FRONT = "#333333"
_TITLES = {
    "training": ("training cost", "images seen × MACs of an image,", "all members"),
    "inference": ("inference cost", "MACs of a test image,", "all views and members"),
}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A combination: score and costs, relative to those of the reference."""

    name: str
    look: Look | None
    """None for one that is not named."""
    score: Point
    costs: dict[str, float]
    """`training`, `inference`: those that are known."""


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Combinations in the order of the figure's legend."""

    places: list[Place]
    panels: list[str]
    """The costs that differ."""
    alike: bool
    """Whether training and inference have the same ratios, so that one panel shows both."""
    of: str
    """What costs are relative to."""
    metric: str
    higher_is_better: bool
    where: str
    """`mean over factors`, or `mean` of a single one."""
    seeds: str
    unit: Unit = "percent"


def collect(
    table: Table,
    costs: Mapping[str, Cost],
    shown: Sequence[str],
    looks: Mapping[str, Look],
    names: Mapping[str, str],
    seeds: str,
) -> Data | None:
    """Return the data of the figure; None where costs are equal or unknown.

    table: that of the board that decides. costs, looks, names: by label. shown: labels of the rows to name; those of the
    front are named besides, unless they are many.
    """
    ranking, base = table.ranking, costs.get(table.reference)
    scored = {row.label: found for row in table.rows if (found := point(row.scores[ranking.name])) is not None}
    if table.reference not in scored or base is None:
        return None
    ratios = {label: costs[label].over(base) for label in scored}
    panels, named = [], [label for label in shown if label in scored]
    for kind in _TITLES:
        known = {label: ratio for label, one in ratios.items() if (ratio := getattr(one, kind))}
        if known and max(known.values()) / min(known.values()) >= LEAST:
            panels.append(kind)
            front = pareto_front([(ratio, scored[label].mean) for label, ratio in known.items()], ranking.sign)
            named += [label for label in known if (known[label], scored[label].mean) in front]
    if not panels:
        return None
    alike = len(panels) > 1 and all(one.alike for one in ratios.values())
    named = list(dict.fromkeys(named))
    if len(named) > NAMED:
        named = [label for label in shown if label in scored]
    return Data(
        places=[
            Place(
                name=names[label] if label in named else "",
                look=looks[label] if label in named else None,
                score=scored[label],
                costs={kind: ratio for kind in _TITLES if (ratio := getattr(ratios[label], kind))},
            )
            for label in [*named, *sorted(set(scored) - set(named))]
        ],
        panels=panels[:1] if alike else panels,
        alike=alike,
        of=names.get(table.reference, table.reference),
        metric=ranking.column.full_title,
        higher_is_better=ranking.sign > 0,
        where="mean over factors" if table.factor is None else "mean",
        seeds=seeds,
        unit=ranking.unit,
    )


def pareto_front(places: Sequence[tuple[float, float]], sign: int) -> list[tuple[float, float]]:
    """Return the (cost, score) pairs that no other one beats or equals in both, cheapest first. sign: 1 if high is good.

    >>> pareto_front([(1, 0.5), (2, 0.4), (2, 0.7), (3, 0.7)], 1)
    [(1, 0.5), (2, 0.7)]
    """
    front: list[tuple[float, float]] = []
    for cost, score in sorted(places, key=lambda place: (place[0], -sign * place[1])):
        if not front or sign * score > sign * front[-1][1]:
            front.append((cost, score))
    return front


def draw(data: Data) -> Figure:
    """Draw a panel for each cost that differs: a point for each combination, and the front as a step line."""
    names = [place.name for place in data.places if place.name]
    labels = [*names, *(["other combinations"] if len(names) < len(data.places) else []), "Pareto front"]
    made = figure(4.1 + legend_height(labels))
    grid = made.subplots(1, len(data.panels), squeeze=False, sharey=True)[0]
    for axes, kind in zip(grid, data.panels, strict=True):
        _panel(axes, data, kind, wide=len(data.panels) == 1)
    grid[0].set_ylabel(axis_title(data.metric, data.unit))
    grid[0].locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
    sure = how_sure([place.score for place in data.places if place.look], data.seeds, data.where)
    title(made, f"{data.metric} against cost ({sure})")
    legend(made, *grid)
    return made


def _panel(axes: Axes, data: Data, kind: str, *, wide: bool) -> None:

    times = scale(data.unit)
    there = [(place, place.costs[kind]) for place in data.places if kind in place.costs]
    ratios = sorted({ratio for _, ratio in there})
    width = math.log(ratios[-1] / ratios[0])
    sign = 1 if data.higher_is_better else -1
    front = pareto_front([(ratio, times * place.score.mean) for place, ratio in there], sign)
    named = [(place, place.look, ratio) for place, ratio in there if place.look is not None]
    for place, look, ratio in named:
        mean = times * place.score.mean
        # Those of one cost lie beside each other, so that their intervals can be told apart.
        beside = [other.name for other, _, cost in named if abs(math.log(cost / ratio)) < _DODGE * width]
        x = ratio * math.exp(_DODGE * width * (beside.index(place.name) - (len(beside) - 1) / 2))
        axes.errorbar([x], [mean], place.score.bars(times), linestyle="", color=look.color, elinewidth=1.6, capsize=3)
        axes.plot([x], [mean], linestyle="", marker=look.marker, color=look.color, markersize=9, label=place.name,
                  zorder=3)  # fmt: skip
    # Rounded to what the eye tells apart, as thousands of combinations would make a large file.
    others = sorted(
        {
            (ratio, round(times * place.score.mean, 1 if times > 1 else 3))
            for place, ratio in there
            if place.look is None
        }
    )
    if others:
        axes.plot(*zip(*others, strict=True), linestyle="", marker=".", markersize=7, color=_OTHER, zorder=1,
                  label="other combinations")  # fmt: skip
    axes.plot([*(cost for cost, _ in front), ratios[-1]], [*(score for _, score in front), front[-1][1]], color=_FRONT,
              linewidth=1.6, linestyle=":", drawstyle="steps-post", label="Pareto front", zorder=2)  # fmt: skip
    axes.grid(**GRID)
    what, product, parts = _TITLES[kind]
    both = "\ninference cost: the same ratios" if data.alike else ""
    axes.set_xlabel(f"{what}, {shortened(data.of, 20)} = 1×\n({product}{' ' if wide else chr(10)}{parts}){both}")
    axes.set_xscale("log")
    axes.set_xlim(ratios[0] / math.exp(0.1 * width), ratios[-1] * math.exp(0.1 * width))
    round_ratios = [ratio for ratio in _ROUND if ratios[0] <= ratio <= ratios[-1]]
    ticks = spaced(ratios if len(ratios) <= _EXACT else round_ratios, 0.08 if wide else 0.16)
    axes.set_xticks(ticks, [f"{ratio:.2g}×" if ratio < 10 else f"{ratio:.0f}×" for ratio in ticks])
    axes.minorticks_off()
