"""Render drawings to SVG: one style, a palette for colour-blind readers, reproducible bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core.checksums import digest
from ltbench.core.spec import canonical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REVISION = 3
"""Raised when drawing changes, so that existing figures are drawn again."""
COLORS = ("#4d4d4d", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Grey for the baseline, then Okabe and Ito's palette without its yellow, which is too light for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LABELLED = 20
"""Largest number of classes with legible names."""
WIDTH = 8.0
_LONGEST = 88
_STYLE: Any = {
    "svg.fonttype": "none",  # text as text: it can be searched, and takes less room than outlines
    "svg.hashsalt": "ltbench",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 144.0,
    "savefig.dpi": 144.0,
}
_STAMP = re.compile(r"<!-- ltbench figure: data (\w{16}), drawing (\w{16}) -->\n")


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A figure before it is drawn; `data` is all that `draw` shows, so its digest tells whether a file is current."""

    kind: str
    name: str
    """File name."""
    alt: str
    """Alternative text and caption."""
    data: Any
    draw: Callable[[Any], Figure]


def is_current(drawing: Drawing, text: str) -> bool:
    """Return whether `text` is an unchanged drawing of this data.

    Drawing again to compare would make files out of date with every version of matplotlib, as lines move slightly.
    """
    stamp = _STAMP.search(text)
    if stamp is None:
        return False
    return stamp[1] == _data_digest(drawing) and stamp[2] == digest(_STAMP.sub("", text, count=1).encode(), 16)


def svg(drawing: Drawing) -> str:
    """Return the figure as SVG text, stamped with digests of what it shows and of the drawing."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # Text stays text in the file, so glyphs that matplotlib's font lacks are no problem.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        drawing.draw(drawing.data).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    # Viewers without matplotlib's font use one of the same width instead of a serif font.
    text = re.sub(r"'DejaVu Sans'(, sans-serif)?", "'DejaVu Sans', Verdana, sans-serif", text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    stamp = f"<!-- ltbench figure: data {_data_digest(drawing)}, drawing {digest(text.encode(), 16)} -->\n"
    head, start, body = text.partition("<svg ")
    return head + stamp + start + body


def figure(height: float, *, width: float = WIDTH) -> Figure:
    """Return an empty figure of the page's width; height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def legend(figure: Figure, axes: Axes) -> None:
    """Put what the axes show below the figure, in as many columns as its texts allow."""
    handles, labels = axes.get_legend_handles_labels()
    texts = [shortened(label) for label in labels]
    figure.legend(handles, texts, loc="outside lower center", ncols=_legend_columns(labels))


def legend_height(labels: Sequence[str]) -> float:
    """Return the inches that a legend takes."""
    return 0.2 + 0.19 * -(-len(labels) // _legend_columns(labels))


def _legend_columns(labels: Sequence[str]) -> int:
    longest = max((len(label) for label in labels), default=0)
    return max(1, min(4, len(labels), int(110 / (longest + 8))))


def shortened(label: str, most: int = _LONGEST) -> str:
    """Return a label that fits a line."""
    return label if len(label) <= most else label[: most - 1] + "…"


def wrapped(label: str, most: int) -> list[str]:
    """Return a combination on as many lines as keep it narrow, broken between its techniques."""
    lines: list[str] = []
    for part in label.split(" + "):
        if lines and len(lines[-1]) + len(part) + 3 <= most:
            lines[-1] += f" + {part}"
        else:
            if lines:
                lines[-1] += " +"
            lines.append(shortened(part, most + 10))
    return lines


def percent_axis(axes: Axes, which: str = "y") -> None:
    """Have an axis go from 0 to 100 %, with a light grid."""
    (axes.set_ylim if which == "y" else axes.set_xlim)(0, 100)
    axes.grid(axis="y" if which == "y" else "x", color="#dddddd", linewidth=0.6)


def color(number: int) -> str:
    """Return the colour of a series: the baseline is number 0."""
    return COLORS[number % len(COLORS)]


def _data_digest(drawing: Drawing) -> str:
    return digest(
        canonical({"kind": drawing.kind, "revision": REVISION, "data": msgspec.to_builtins(drawing.data)}), 16
    )
