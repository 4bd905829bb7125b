"""Labels beside the ends of lines, in place of a legend: each at the height of its line, moved where two would overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ltbench.leaderboard.figures.canvas import FONT, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARK, _TEXT = 1.045, 1.07
"""Places of marker and text, in widths of the axes."""
_GAP = 4.0
"""Pixels between two labels."""
_WIDEST = 20
"""Characters of a line of a label that may be broken."""
LINE = 1.3 * FONT / 72
"""Inches that a line of a label takes."""


class LineEnd(msgspec.Struct, frozen=True):
    """The last point of a line, in the units of the axes, and how the line looks."""

    text: str
    x: float
    y: float
    look: dict[str, Any]
    """Colour, marker and line style."""


def labels_height(texts: Sequence[str]) -> float:
    """Return the inches that labels of these texts take one below the other."""
    return sum(LINE * len(wrapped(text, _WIDEST)) + 0.05 for text in texts)


def label_ends(figure: Figure, axes: Axes, ends: Sequence[LineEnd]) -> None:
    """Write a label right of the axes for each line, with its marker and a thin line to its last point.

    Everything else has to be drawn before: the heights depend on the size of the axes.
    """
    if not ends:
        return
    ends = sorted(ends, key=lambda end: (end.y, end.text))
    place = axes.get_yaxis_transform()
    texts = [
        axes.text(_TEXT, end.y, "\n".join(wrapped(end.text, _WIDEST)), transform=place, va="center", linespacing=1.1)
        for end in ends
    ]
    figure.draw_without_rendering()  # lays the figure out, so that texts and axes have their sizes
    heights = [text.get_window_extent().height for text in texts]
    wanted = [float(axes.transData.transform((end.x, end.y))[1]) for end in ends]
    found = spread_out(wanted, heights, *axes.get_window_extent().intervaly)
    limits = axes.get_xlim(), axes.get_ylim()
    for end, text, y in zip(ends, texts, found, strict=True):
        height = float(axes.transData.inverted().transform((0.0, y))[1])
        text.set_y(height)
        axes.plot([_MARK], [height], transform=place, clip_on=False, markersize=7, **end.look)
        axes.annotate("", (end.x, end.y), (_MARK, height), textcoords=place, annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": end.look["color"], "linewidth": 0.8, "alpha": 0.7,
                                  "shrinkA": 4, "shrinkB": 5})  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1])


def spread_out(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Return the centres of labels, as near to the wanted ones as they can be without overlap between `low` and `high`.

    wanted: ascending. Labels that together are higher than the room start at `low` and exceed it.
    """
    from scipy.optimize import isotonic_regression

    size = np.asarray(heights, dtype=np.float64)
    # Centre i is at least `steps[i]` above the first: without the steps, the centres have only to ascend.
    steps = np.concatenate([[0.0], np.cumsum((size[1:] + size[:-1]) / 2 + _GAP)])
    free = isotonic_regression(np.asarray(wanted) - steps).x
    bottom = low + size[0] / 2
    top = max(bottom, high - size[-1] / 2 - steps[-1])
    return [float(y) for y in np.clip(free, bottom, top) + steps]
