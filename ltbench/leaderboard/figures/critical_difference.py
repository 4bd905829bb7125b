"""Critical-difference diagram: mean ranks over data sets, with bars over groups without significant difference (Demsar 2006)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ltbench.leaderboard.figures.canvas import figure, wrapped
from ltbench.leaderboard.statistics.mean_ranks import MeanRanks
from ltbench.leaderboard.tables.cell_text import SURE_DIGITS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 20
"""Combinations that a diagram shows, the best ones; all are ranked."""
_TICKS = 16
"""Most ranks that are written at the axis; of a thousand rows every hundredth."""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Best rank first."""

    labels: list[str]
    ranks: list[float]
    groups: list[tuple[int, int]]
    difference: float
    p: float
    datasets: int
    many: int
    """Combinations that were ranked."""


def collect(found: MeanRanks) -> Data:
    """Return the data of the figure."""
    shown = min(MOST, len(found.labels))
    groups: list[tuple[int, int]] = []
    for first, last in found.groups:
        # Cut off, a group may be a part of the one before.
        end = min(last, shown - 1)
        if first < shown - 1 and (not groups or end > groups[-1][1]):
            groups.append((first, end))
    return Data(
        labels=found.labels[:shown],
        ranks=[round(rank, SURE_DIGITS) for rank in found.ranks[:shown]],
        groups=groups,
        difference=round(found.difference, SURE_DIGITS),
        p=float(f"{found.p:.3g}"),
        datasets=len(found.datasets),
        many=len(found.labels),
    )


def draw(data: Data) -> Figure:
    """Draw the axis of ranks, names at both sides, and a bar over each group without significant difference."""
    many = len(data.labels)
    left = (many + 1) // 2
    lines = max(left, many - left)
    bars = 0.22 * len(data.groups) + 0.25
    made = figure(1.35 + 0.31 * lines + 0.33 * bars)
    axes = made.subplots()
    low, high = min(data.ranks), max(*data.ranks, min(data.ranks) + data.difference)
    margin = 0.62 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    bottom = bars + 0.5 * lines + 0.4
    axes.set_ylim(bottom, -1.3)
    axes.axis("off")
    axes.plot([low, high], [0, 0], color="#000000", linewidth=1.2)
    step = next(
        step for power in range(9) for step in (10**power, 2 * 10**power, 5 * 10**power) if high - low < _TICKS * step
    )
    for tick in range(0, int(high // 1) + 2, step):
        if low <= tick <= high:
            axes.plot([tick, tick], [0, -0.14], color="#000000", linewidth=0.9)
            axes.text(tick, -0.2, str(tick), ha="center", va="bottom", fontsize=8)
    axes.plot([low, low + data.difference], [-0.95, -0.95], color="#000000", linewidth=2)
    axes.text(low + data.difference + 0.02 * (high - low), -0.95, f"critical difference {data.difference:.2f}",
              ha="left", va="center", fontsize=8)  # fmt: skip
    for number, (first, last) in enumerate(data.groups):
        y = 0.25 + 0.22 * number
        axes.plot([data.ranks[first], data.ranks[last]], [y, y], color="#0072B2", linewidth=3.2, solid_capstyle="butt")
    for place, (label, rank) in enumerate(zip(data.labels, data.ranks, strict=True)):
        before = place < left
        y = bars + 0.5 * (place if before else many - 1 - place) + 0.3
        end = low - 0.03 * (high - low) if before else high + 0.03 * (high - low)
        axes.plot([rank, rank, end], [0, y, y], color="#666666", linewidth=0.8)
        gap = 0.02 * (high - low)
        axes.text(end + (-gap if before else gap), y, f"{rank:.2f}", ha="right" if before else "left",
                  va="center", fontsize=8)  # fmt: skip
        axes.text(end + (-gap if before else gap) * 6, y, _name(label), ha="right" if before else "left", va="center",
                  fontsize=7.5, linespacing=1.05)  # fmt: skip
    more = f", the best {many} of {data.many} combinations" if data.many > many else ""
    p = "< 0.001" if data.p < 0.001 else f"= {data.p:.3f}"
    axes.set_title(f"Mean rank over {data.datasets} data sets (Friedman p {p}){more}; bars: no significant difference")
    return made


def _name(label: str) -> str:
    """Return a label on two lines at most."""
    lines = wrapped(label, 34)
    return "\n".join([*lines[:1], *([" ".join(lines[1:])] if len(lines) > 1 else [])])
