"""What each technique adds on average over the combinations run with and without it, at each imbalance factor and over all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.figures.canvas import FONT, GRID, figure, legend, legend_height, title, wrapped
from ltbench.leaderboard.figures.line_labels import LINE
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.series import Point
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.ranking import DEFAULT, Ranking
from ltbench.leaderboard.tables.cell_text import SURE_DIGITS, factor_text, scale, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 10
"""Techniques that a figure shows: those that add or take most."""
FACTORS = 3
"""Imbalance factors that a figure shows: of more, the lowest, the middle and the highest one."""
_FACTOR_MARKERS = ("o", "s", "^", "v", "P", "X")
_PALEST = 0.5
_NAME = 24
_DARK = "#333333"


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Techniques from top to bottom; `points` has a list for each with an entry for each place."""

    techniques: list[str]
    looks: list[Look]
    places: list[str]
    """Imbalance factors as text, and `mean` where there are several."""
    factors: int
    """Imbalance factors that the mean is over."""
    points: list[list[Point | None]]
    seeds: str
    """Runs, in words."""
    left_out: int
    """Techniques that are not shown."""
    metric: str
    unit: Unit = "percent"


def collect(
    effects: Sequence[Effect],
    looks: Mapping[str, Look],
    names: Mapping[str, str],
    metric: str,
    seeds: str,
    most: int = MOST,
    ranking: Ranking = DEFAULT,
) -> Data | None:
    """Return the data of the figure; None if there is no effect. looks, names: label of a technique -> look, short name."""
    factors = sorted({effect.factor for effect in effects if effect.factor is not None})
    some = factors if len(factors) <= FACTORS else [factors[0], factors[len(factors) // 2], factors[-1]]
    places: list[float | None] = [*some, *([None] if len(factors) > 1 else [])]
    by_place = {(effect.techniques, effect.factor): effect for effect in effects}
    shown = strongest(effects, most)
    if not shown:
        return None
    whole = {name: by_place.get((name, places[-1])) for name in shown}
    shown.sort(
        key=lambda name: (
            math.inf if (effect := whole[name]) is None else -ranking.sign * round(effect.mean, SURE_DIGITS)
        )
    )
    return Data(
        techniques=[names[name] for (name,) in shown],
        looks=[looks[name] for (name,) in shown],
        places=["mean" if place is None else factor_text(place) for place in places],
        factors=len(factors),
        points=[[_point(by_place.get((name, place))) for place in places] for name in shown],
        seeds=seeds,
        left_out=len({effect.techniques for effect in effects}) - len(shown),
        metric=metric,
        unit=ranking.unit,
    )


def strongest(effects: Sequence[Effect], most: int) -> list[tuple[str, ...]]:
    """Return the techniques of the largest effects, wherever that is, in the order given."""
    size: dict[tuple[str, ...], float] = {}
    for effect in effects:
        size[effect.techniques] = max(size.get(effect.techniques, 0.0), round(abs(effect.mean), SURE_DIGITS))
    kept = sorted(size, key=lambda name: -size[name])[:most]
    return [name for name in size if name in kept]


def _point(effect: Effect | None) -> Point | None:
    if effect is None:
        return None
    low, high = (None if end is None else round(end, SURE_DIGITS) for end in (effect.low, effect.high))
    return Point(mean=round(effect.mean, SURE_DIGITS), low=low, high=high)


def draw(data: Data) -> Figure:
    """Draw a mark with its interval for each technique and place; the most helpful technique is on top.

    A technique has its colour. Factors differ in marker and shade, and their mean is a filled diamond, with its number.
    """
    times = scale(data.unit)
    many, places = len(data.techniques), len(data.places)
    names = [wrapped(name, _NAME) for name in data.techniques]
    row = max(0.17 * places + 0.14, LINE * max(map(len, names)) + 0.16)
    words = [f"mean over {data.factors} factors" if place == "mean" else f"factor {place}" for place in data.places]
    made = figure(1.3 + many * row + (legend_height(words) if places > 1 else 0.0))
    axes = made.subplots()
    axes.axvline(0, color="#000000", linewidth=1.2)
    step = 0.8 / places
    for number, (place, word) in enumerate(zip(data.places, words, strict=True)):
        main = place == "mean" or places == 1
        strength = 1.0 if main else _PALEST + (0.85 - _PALEST) * number / max(1, places - 2)
        size: dict[str, Any] = {"marker": "D" if main else _FACTOR_MARKERS[number % len(_FACTOR_MARKERS)],
                                "markersize": 9 if main else 7}  # fmt: skip
        for i, (look, points) in enumerate(zip(data.looks, data.points, strict=True)):
            point, y = points[number], i + step * (number - (places - 1) / 2)
            if point is None:
                continue
            color = look.tint(strength)
            if point.low is not None and point.high is not None:
                axes.plot([times * point.low, times * point.high], [y, y], color=color, linewidth=3.0 if main else 1.8,
                          solid_capstyle="butt")  # fmt: skip
            axes.plot([times * point.mean], [y], linestyle="", color=color,
                      markeredgecolor="#000000" if main else look.color, **size)  # fmt: skip
            if main:
                axes.text(
                    1.02,
                    y,
                    signed(point.mean, data.unit),
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    fontsize=FONT,
                )
        axes.plot(
            [], [], linestyle="", label=word, color=Look(color=_DARK).tint(strength), markeredgecolor=_DARK, **size
        )
    axes.set_ylim(many - 0.45, -0.55)
    axes.set_yticks(range(many), ["\n".join(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=7, steps=[1, 2, 5, 10])
    axes.grid(axis="x", **GRID)
    for line in range(1, many):
        axes.axhline(line - 0.5, color="#e4e4e4", linewidth=1.0)
    axes.set_xlabel(f"difference in {data.metric}" + ", percentage points" * (data.unit == "percent"))
    more = f", the {many} largest of {many + data.left_out}" if data.left_out else ""
    title(made, f"What each technique adds (mean, 95 % interval, {data.seeds}){more}")
    if places > 1:
        legend(made, axes)
    return made
