"""Accuracy of each class from head to tail, over how many training images it has (as report park's Fig. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.columns import CLASS_ACCURACY
from ltbench.leaderboard.figures.canvas import (
    LABELLED,
    NUMBERED,
    SMALL,
    class_axis,
    class_axis_height,
    figure,
    percent_axis,
    short_count,
    title,
)
from ltbench.leaderboard.figures.line_labels import LineEnd, label_ends, labels_height
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.series import (
    Series,
    by_class,
    classes_of,
    counts_of,
    group_means,
    group_names,
    group_size,
    head_to_tail,
    seeds_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST = 4
"""Lines of a figure: each crosses the others once per class."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy of each class."""

    name: str
    look: Look
    values: list[float | None]


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Classes come from head to tail; many are shown in groups of neighbours, by their means."""

    classes: list[str]
    counts: list[int]
    lines: list[Line]
    reported: list[Line]
    """What a report prints class by class."""
    where: str
    """The imbalance factor, in words."""
    seeds: str
    """Runs, in words."""
    grouped: int | msgspec.UnsetType = msgspec.UNSET
    """Classes of a group; omitted where each class is shown."""


def collect(shown: Sequence[Series], reported: Mapping[str, Sequence[float]], where: str) -> Data | None:
    """Return the data of the figure; None if no run has numbers by class. reported: label -> accuracies in label order."""
    lines = [(one, values) for one in shown if (values := by_class(one.records, CLASS_ACCURACY))]
    counts = counts_of(record for one in shown for record in one.records)
    if not counts or not lines or any(len(values) != len(counts) for _, values in lines):
        return None
    order = head_to_tail(counts)
    size = group_size(len(counts))
    names = classes_of((record for one in shown for record in one.records), len(counts))

    def line(one: Series, values: Sequence[float | None]) -> Line:
        return Line(name=one.short, look=one.look, values=group_means([values[c] for c in order]))

    return Data(
        classes=[names[c] for c in order] if size == 1 else group_names(len(counts)),
        counts=[round(n or 0) for n in group_means([counts[c] for c in order])],
        lines=[line(one, values) for one, values in lines],
        reported=[line(one, said) for one in shown if len(said := reported.get(one.label, ())) == len(order)],
        where=where,
        seeds=seeds_text(shown),
        grouped=size if size > 1 else msgspec.UNSET,
    )


def draw(data: Data) -> Figure:
    """Draw accuracies above, training images below."""
    size = len(data.classes)
    labels = labels_height([line.name for line in data.lines])
    made = figure(max(4.5, labels * 1.5 + 1.4) + class_axis_height(data.classes))
    above, below = made.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    window = 1 if size <= LABELLED else max(3, size // 12) | 1
    ends = []
    for line in data.lines:
        known = [float("nan") if value is None else 100 * value for value in line.values]
        ends += _line(above, line, known, window)
        if window > 1:
            above.plot(range(size), known, linestyle="", marker=".", markersize=3, alpha=0.4, color=line.look.color)
    for line in data.reported:
        said = smooth([100 * (value or 0.0) for value in line.values], window)
        above.plot(range(size), said, linestyle=":", linewidth=2.0, color=line.look.color)
    percent_axis(above)
    above.set_ylabel("accuracy, %")
    shown, each = "classes", "class"
    if data.grouped is not msgspec.UNSET:
        shown, each = "groups", f"group of {data.grouped} classes"
    moving = [] if window == 1 else [f"moving mean over {window} {shown}"]
    dotted = ["dotted: as reported"] if data.reported else []
    what = "; ".join([f"mean, {data.seeds}", *moving, *dotted])
    title(made, f"Accuracy of each {each} at {data.where} ({what})")
    _counts(below, data.counts)
    below.set_xlim(-0.6, size - 0.4)
    class_axis(below, data.classes)
    label_ends(made, above, ends)
    return made


def _line(axes: Axes, line: Line, known: Sequence[float], window: int) -> list[LineEnd]:
    """Draw a line, smoothed over a window of classes; return where it ends, if anywhere."""
    smoothed = list(known) if window == 1 else smooth(known, window)
    look: dict[str, Any] = {"color": line.look.color, "marker": line.look.marker}
    every = 1 if window == 1 else max(1, len(known) // 8)
    axes.plot(
        range(len(known)),
        smoothed,
        linewidth=2.0,
        linestyle=line.look.line,
        markersize=7,
        markevery=every,
        clip_on=False,
        **look,
    )
    last = [(x, y) for x, y in enumerate(smoothed) if not math.isnan(y)][-1:]
    return [LineEnd(line.name, x, y, look) for x, y in last]


def _counts(axes: Axes, counts: Sequence[int]) -> None:
    """Draw training images, on a logarithmic axis because a long tail spans several powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.bar(range(len(counts)), [max(count, 0.5) for count in counts], width=0.8, color="#b0b0b0")
    axes.set_yscale("log")
    axes.set_ylabel("training\nimages")
    axes.yaxis.set_minor_locator(NullLocator())
    if len(counts) <= NUMBERED:
        axes.yaxis.set_major_locator(NullLocator())
        for place, count in enumerate(counts):
            axes.text(place, max(count, 0.5), short_count(count), ha="center", va="bottom", fontsize=SMALL)
    else:
        axes.yaxis.set_major_locator(LogLocator(10))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    lowest, highest = max(min(counts), 0.5), max(*counts, 1)
    # A little room below the smallest bar, and above the largest for its number.
    axes.set_ylim(lowest / (highest / lowest * 2) ** 0.12, highest * (highest / lowest * 2) ** 0.25)


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Return the moving mean; the window is cut at the ends. Undefined values are left out."""
    half = window // 2
    smoothed = []
    for i in range(len(values)):
        near = [value for value in values[max(0, i - half) : i + half + 1] if not math.isnan(value)]
        smoothed.append(sum(near) / len(near) if near else float("nan"))
    return smoothed
