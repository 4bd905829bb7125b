"""What each technique adds on average over all combinations of the others, at each imbalance factor and over all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.leaderboard.figures.canvas import figure, legend, legend_height, shortened
from ltbench.leaderboard.figures.series import runs_text
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.tables.cell_text import factor_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 16
"""Techniques that a figure shows: those that add or take most."""
_SHADES = ("#56B4E9", "#0072B2", "#CC79A7", "#009E73", "#E69F00", "#D55E00")
_MARKERS = ("o", "s", "^", "v", "P", "X")
_DIGITS = 9


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A mean with the ends of its interval; fractions."""

    mean: float
    low: float | None
    high: float | None


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Techniques from top to bottom; `points` has a list for each with an entry for each place."""

    techniques: list[str]
    places: list[str]
    """Imbalance factors as text, and `mean` where there are several."""
    points: list[list[Point | None]]
    n: str
    left_out: int
    """Techniques that are not shown."""
    metric: str = "top-1 accuracy"


def collect(effects: Sequence[Effect], metric: str = "top-1 accuracy", most: int = MOST) -> Data | None:
    """Return the data of the figure; None if there is no effect."""
    factors = sorted({effect.factor for effect in effects if effect.factor is not None})
    places: list[float | None] = [*factors, *([None] if len(factors) > 1 else [])]
    by_place = {(effect.techniques, effect.factor): effect for effect in effects}
    names = strongest(effects, most)
    if not names:
        return None
    return Data(
        techniques=[name[0] for name in names],
        places=["mean" if place is None else factor_text(place) for place in places],
        points=[[_point(by_place.get((name, place))) for place in places] for name in names],
        n=runs_text(effect.n for effect in effects),
        left_out=len({effect.techniques for effect in effects}) - len(names),
        metric=metric,
    )


def strongest(effects: Sequence[Effect], most: int) -> list[tuple[str, ...]]:
    """Return the techniques of the largest effects, wherever that is, in the order given."""
    size: dict[tuple[str, ...], float] = {}
    for effect in effects:
        size[effect.techniques] = max(size.get(effect.techniques, 0.0), round(abs(effect.mean), _DIGITS))
    kept = sorted(size, key=lambda name: -size[name])[:most]
    return [name for name in size if name in kept]


def _point(effect: Effect | None) -> Point | None:
    if effect is None:
        return None
    low, high = (None if end is None else round(end, _DIGITS) for end in (effect.low, effect.high))
    return Point(mean=round(effect.mean, _DIGITS), low=low, high=high)


def draw(data: Data) -> Figure:
    """Draw a mark with its interval for each technique and place; what lies right of zero helps."""
    many, places = len(data.techniques), len(data.places)
    step = min(0.16, 0.7 / places)
    made = figure(1.0 + many * max(0.32, 0.19 * places) + legend_height(data.places))
    axes = made.subplots()
    axes.axvline(0, color="#000000", linewidth=0.9)
    for number, place in enumerate(data.places):
        mean = place == "mean"
        look: Any = {"color": "#000000" if mean else _SHADES[number % len(_SHADES)]}
        shift = step * (number - (places - 1) / 2)
        there = [(i, row[number]) for i, row in enumerate(data.points)]
        known = [(i + shift, point) for i, point in there if point is not None]
        label = "mean over the factors" if mean else f"imbalance factor {place}"
        marker = "D" if mean else _MARKERS[number % len(_MARKERS)]
        axes.plot([100 * p.mean for _, p in known], [y for y, _ in known], linestyle="", marker=marker, markersize=5,
                  label=label, **look)  # fmt: skip
        for y, point in known:
            if point.low is not None and point.high is not None:
                axes.plot([100 * point.low, 100 * point.high], [y, y], linewidth=1.4, solid_capstyle="butt", **look)
    axes.set_ylim(many - 0.45, -0.55)
    axes.set_yticks(range(many), [shortened(name, 40) for name in data.techniques])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    for line in range(1, many):
        axes.axhline(line - 0.5, color="#eeeeee", linewidth=0.8)
    axes.set_xlabel(f"percentage points of {data.metric}")
    more = f", the {many} largest of {many + data.left_out}" if data.left_out else ""
    axes.set_title(f"What each technique adds, with its 95 % interval (n = {data.n}){more}")
    legend(made, axes)
    return made
