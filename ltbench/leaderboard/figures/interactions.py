"""Interactions of pairs of techniques, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.figures.canvas import FONT, SMALL, WIDTH, figure, shortened, title
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.ranking import DEFAULT, Ranking
from ltbench.leaderboard.tables.cell_text import SURE_DIGITS, number_text, place_text, scale, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 9
"""Largest number of techniques: those of the largest interactions."""
FEWEST = 2
"""Fewest pairs for a heat map."""
_WITH_INTERVAL = 6
"""Largest number of techniques with room for intervals."""


class Square(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of techniques, by their places; fractions."""

    row: int
    column: int
    mean: float
    half: float | None
    separated: bool


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Techniques from top to bottom and from left to right."""

    techniques: list[str]
    squares: list[Square]
    where: str
    seeds: str
    """Runs, in words."""
    left_out: int
    unit: Unit = "percent"
    higher_is_better: bool = True


def collect(
    pairs: Sequence[Effect],
    factor: float | None,
    short: Mapping[str, str],
    seeds: str,
    most: int = MOST,
    data: Mapping[str, Any] = {},
    ranking: Ranking = DEFAULT,
) -> Data | None:
    """Return the data at a factor; None with too few pairs.

    short: label -> short name of techniques, in the order of the rows; data: of a record.
    """
    here = [effect for effect in pairs if effect.factor == factor]
    known = {name for effect in here for name in effect.techniques}
    size = {
        name: max(round(abs(effect.mean), SURE_DIGITS) for effect in here if name in effect.techniques)
        for name in known
    }
    names = [name for name in short if name in known]
    kept = sorted(names, key=lambda name: -size[name])[:most]
    names = [name for name in names if name in kept]
    squares = []
    for effect in here:
        if set(effect.techniques) <= set(names):
            column, row = sorted(names.index(name) for name in effect.techniques)
            squares.append(
                Square(
                    row=row,
                    column=column,
                    mean=round(effect.mean, SURE_DIGITS),
                    half=None if effect.high is None else round(effect.high - effect.mean, SURE_DIGITS),
                    separated=effect.separated,
                )
            )
    if len(squares) < FEWEST:
        return None
    where = "mean over the imbalance factors" if factor is None else place_text(factor, data)
    return Data(
        techniques=[short[name] for name in names],
        squares=squares,
        where=where,
        seeds=seeds,
        left_out=len(known) - len(names),
        unit=ranking.unit,
        higher_is_better=ranking.sign > 0,
    )


def draw(data: Data) -> Figure:
    """Draw a triangle of squares: blue if two techniques help each other, red if they interfere."""
    from matplotlib.colors import Normalize

    # Techniques of one stage never combine, so some have a column but no row, or the reverse.
    rows = sorted({square.row for square in data.squares})
    columns = sorted({square.column for square in data.squares})
    many, wide = len(rows), len(columns)
    side = min(1.05, 5.0 / wide)
    names = [shortened(name, 22) for name in data.techniques]
    longest = max(map(len, names))
    made = figure(1.5 + side * many + 0.075 * longest, width=min(WIDTH, max(6.4, 1.0 + side * wide + 0.16 * longest)))
    axes = made.subplots()
    times, good = scale(data.unit), 1 if data.higher_is_better else -1
    top = max(times * abs(square.mean) for square in data.squares) or 1.0
    shown = [[float("nan")] * wide for _ in rows]
    for square in data.squares:
        shown[rows.index(square.row)][columns.index(square.column)] = good * times * square.mean
    axes.pcolormesh(shown, cmap="RdBu", norm=Normalize(-top, top), edgecolors="#ffffff", linewidth=1.0)
    detailed = len(data.techniques) <= _WITH_INTERVAL
    for square in data.squares:
        text = signed(square.mean, data.unit) + ("*" if square.separated else "")
        if detailed and square.half is not None:
            text += f"\n± {number_text(square.half, data.unit)}"
        strong = abs(times * square.mean) > 0.6 * top
        axes.text(columns.index(square.column) + 0.5, rows.index(square.row) + 0.5, text, ha="center", va="center",
                  fontsize=FONT if wide < 7 else SMALL, color="#ffffff" if strong else "#000000",
                  weight="bold" if square.separated else "normal")  # fmt: skip
    axes.set_ylim(many, 0)
    axes.set_xticks([i + 0.5 for i in range(wide)], [names[i] for i in columns], rotation=30, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    axes.set_yticks([i + 0.5 for i in range(many)], [names[i] for i in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    intervals = ", 95 % interval" if detailed and any(square.half is not None for square in data.squares) else ""
    more = f"; the {len(names)} techniques of the largest" if data.left_out else ""
    title(
        made,
        f"Interactions: {'points' if data.unit == 'percent' else 'what'} {'that ' * (data.unit == 'percent')}two add beyond the sum of each ({data.where}{intervals}, {data.seeds}){more}",
    )
    above, below = ("above", "below") if data.higher_is_better else ("below", "above")
    axes.set_xlabel(f"blue, {above} 0: they help each other\nred, {below} 0: they interfere; * significant")
    return made
