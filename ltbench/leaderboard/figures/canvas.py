"""Render drawings to SVG: one style, a palette for colour-blind readers, reproducible bytes."""

from __future__ import annotations

import io
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core.checksums import digest
from ltbench.core.spec import canonical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REVISION = 4
"""Raised when drawing changes, so that existing figures are drawn again."""
LABELLED = 20
"""Largest number of classes with legible names."""
NUMBERED = 10
"""Largest number of classes with room for a number at each."""
WIDTH = 8.0
"""Inches. A page shows this at 768 pixels, a telephone at 400 or less."""
FONT = 13.5
"""Points; 9.4 pixels at half size. Smaller texts are not legible there."""
SMALL = 11.5
"""The least size, where texts would touch otherwise."""
GRID: Any = {"color": "#dddddd", "linewidth": 0.8}
_TITLE = 72
"""Characters of a line of a title at this width."""
_LEGEND = 76
"""Characters of a line of a legend."""
_CLASS = 20
"""Characters of the name of a class."""
STYLE: Any = {
    "svg.fonttype": "none",  # text as text: it can be searched, and takes less room than outlines
    "svg.hashsalt": "ltbench",
    "text.parse_math": False,
    "font.size": FONT,
    "axes.titlesize": FONT,
    "figure.titlesize": FONT + 0.5,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.facecolor": "#ffffff",  # a page in dark mode shows the same
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
        mpl.rcParams.update(STYLE)
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


def title(figure: Figure, text: str) -> None:
    """Write what a figure shows above it, from its left edge on, over as many lines as it takes."""
    width = int(_TITLE * figure.get_figwidth() / WIDTH)
    figure.suptitle("\n".join(textwrap.wrap(text, width)), x=0.01, ha="left")


def legend(figure: Figure, *axes: Axes) -> None:
    """Put what the axes show below the figure, in as many columns as its texts allow; equal texts once."""
    entries = [pair for one in axes for pair in zip(*one.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in reversed(entries)}
    labels = list(dict.fromkeys(label for _, label in entries))
    texts = [shortened(label) for label in labels]
    figure.legend([handles[label] for label in labels], texts, loc="outside lower center", ncols=_legend_columns(texts))


def legend_height(labels: Sequence[str]) -> float:
    """Return the inches that a legend takes."""
    return 0.2 + 0.29 * -(-len(labels) // _legend_columns(labels))


def _legend_columns(labels: Sequence[str]) -> int:
    longest = max((len(shortened(label)) for label in labels), default=0)
    return max(1, min(4, len(labels), int(_LEGEND / (longest + 6))))


def shortened(label: str, most: int = _LEGEND - 6) -> str:
    """Return a label that fits a line; its middle is left out, as parameters at its end distinguish it."""
    end = most // 2
    return label if len(label) <= most else f"{label[: most - 1 - end]}…{label[-end:]}"


def wrapped(label: str, most: int, longest: int | None = None) -> list[str]:
    """Return a combination on as many lines as keep it narrow, broken between its techniques.

    longest: characters of a technique, which is not broken; by default ten more than those of a line.
    """
    lines: list[str] = []
    for part in label.split(" + "):
        if lines and len(lines[-1]) + len(part) + 3 <= most:
            lines[-1] += f" + {part}"
        else:
            if lines:
                lines[-1] += " +"
            lines.append(shortened(part, most + 10 if longest is None else longest))
    return lines


def short_count(count: int) -> str:
    """Return a number of images in at most five characters or so.

    >>> [short_count(n) for n in (600, 1796, 5000)]
    ['600', '1.8k', '5k']
    """
    return f"{count}" if count < 1000 else f"{count / 1000:.1f}".removesuffix(".0") + "k"


def class_axis(axes: Axes, classes: Sequence[str]) -> None:
    """Name the classes below an axis, slanted so that names do not touch; only their number where they are many."""
    many = len(classes)
    if many <= LABELLED:
        names = [shortened(name, _CLASS) for name in classes]
        axes.set_xticks(range(many), names, rotation=_slant(many), ha="right", rotation_mode="anchor")
    else:
        axes.set_xlabel(f"{many} classes, head to tail")


def class_axis_height(classes: Sequence[str]) -> float:
    """Return the inches that the names of classes take."""
    many = len(classes)
    longest = min(_CLASS, max(map(len, classes)))
    return 0.1 * longest * math.sin(math.radians(_slant(many))) + 0.2 if many <= LABELLED else 0.4


def _slant(many: int) -> int:
    return 30 if many <= NUMBERED else 60


def percent_axis(axes: Axes, which: str = "y") -> None:
    """Have an axis go from 0 to 100 %, with a light grid."""
    (axes.set_ylim if which == "y" else axes.set_xlim)(0, 100)
    axes.grid(axis="y" if which == "y" else "x", **GRID)


def _data_digest(drawing: Drawing) -> str:
    return digest(
        canonical({"kind": drawing.kind, "revision": REVISION, "data": msgspec.to_builtins(drawing.data)}), 16
    )
