"""Interactions of pairs of techniques, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.leaderboard.figures.canvas import WIDTH, figure, shortened
from ltbench.leaderboard.figures.series import runs_text
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.tables.cell_text import place_text, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 14
"""Largest number of techniques: those of the largest interactions."""
FEWEST = 2
"""Fewest pairs for a heat map."""
_WITH_INTERVAL = 7
"""Largest number of techniques with room for intervals."""
_DIGITS = 9


class Square(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of techniques, by their places; fractions."""

    row: int
    column: int
    mean: float
    half: float | None
    separated: bool


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Techniques from top to bottom and from left to right."""

    techniques: list[str]
    squares: list[Square]
    where: str
    n: str
    left_out: int


def collect(
    pairs: Sequence[Effect], factor: float | None, order: Sequence[str], most: int = MOST, data: Mapping[str, Any] = {}
) -> Data | None:
    """Return the data at a factor; None with too few pairs. order: labels in the order of the rows; data: of a record."""
    here = [effect for effect in pairs if effect.factor == factor]
    known = {name for effect in here for name in effect.techniques}
    size = {
        name: max(round(abs(effect.mean), _DIGITS) for effect in here if name in effect.techniques) for name in known
    }
    names = [name for name in order if name in known]
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
                    mean=round(effect.mean, _DIGITS),
                    half=None if effect.high is None else round(effect.high - effect.mean, _DIGITS),
                    separated=effect.separated,
                )
            )
    if len(squares) < FEWEST:
        return None
    where = "mean over the imbalance factors" if factor is None else place_text(factor, data)
    return Data(
        techniques=names,
        squares=squares,
        where=where,
        n=runs_text(effect.n for effect in here),
        left_out=len(known) - len(names),
    )


def draw(data: Data) -> Figure:
    """Draw a triangle of squares: blue if two techniques help each other, red if they interfere."""
    from matplotlib.colors import Normalize

    # Techniques of one stage never combine, so some have a column but no row, or the reverse.
    rows = sorted({square.row for square in data.squares})
    columns = sorted({square.column for square in data.squares})
    many, wide = len(rows), len(columns)
    side = min(0.95, 5.4 / wide)
    longest = max(len(shortened(name, 30)) for name in data.techniques)
    made = figure(1.25 + side * many + 0.055 * longest, width=min(WIDTH, max(4.6, 1.8 + side * wide + 0.075 * longest)))
    axes = made.subplots()
    top = max(100 * abs(square.mean) for square in data.squares) or 1.0
    shown = [[float("nan")] * wide for _ in rows]
    for square in data.squares:
        shown[rows.index(square.row)][columns.index(square.column)] = 100 * square.mean
    mesh = axes.pcolormesh(shown, cmap="RdBu", norm=Normalize(-top, top), edgecolors="#ffffff", linewidth=1.0)
    detailed = len(data.techniques) <= _WITH_INTERVAL
    for square in data.squares:
        text = signed(square.mean) + ("*" if square.separated else "")
        if detailed and square.half is not None:
            text += f"\n± {100 * square.half:.1f}"
        strong = abs(100 * square.mean) > 0.6 * top
        axes.text(columns.index(square.column) + 0.5, rows.index(square.row) + 0.5, text, ha="center", va="center",
                  fontsize=8.5 if detailed else 7 if wide < 11 else 6, color="#ffffff" if strong else "#000000",
                  weight="bold" if square.separated else "normal")  # fmt: skip
    axes.set_ylim(many, 0)
    names = [shortened(name, 30) for name in data.techniques]
    axes.set_xticks([i + 0.5 for i in range(wide)], [names[i] for i in columns], rotation=35, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    axes.set_yticks([i + 0.5 for i in range(many)], [names[i] for i in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    more = f"\nthe {len(data.techniques)} techniques of the largest of them" if data.left_out else ""
    head = "What two add beyond the sum of each\nabove zero they help each other"
    made.suptitle(f"{head}\n{data.where}, n = {data.n}{more}", fontsize=10)
    made.colorbar(mesh, ax=axes, shrink=0.8, label="percentage points")
    return made
