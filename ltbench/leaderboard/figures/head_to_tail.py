"""Accuracy of each class from head to tail, over how many training images it has (as report park's Fig. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ltbench.columns import CLASS_ACCURACY
from ltbench.leaderboard.figures.canvas import LABELLED, MARKERS, color, figure, legend, legend_height, percent_axis
from ltbench.leaderboard.figures.series import Series, by_class, classes_of, counts_of, head_to_tail, runs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Classes come from head to tail."""

    classes: list[str]
    counts: list[int]
    lines: list[tuple[str, list[float | None]]]
    reported: list[tuple[str, list[float]]]
    """What a report prints class by class, by the label of the line that it belongs to."""
    n: str
    """Pairs of seeds."""


def collect(shown: Sequence[Series], reported: Mapping[str, Sequence[float]]) -> Data | None:
    """Return the data of the figure; None if no run has numbers by class. reported: label -> accuracies in label order."""
    lines = [(one.label, values) for one in shown if (values := by_class(one.records, CLASS_ACCURACY))]
    counts = counts_of(record for one in shown for record in one.records)
    if not counts or not lines or any(len(values) != len(counts) for _, values in lines):
        return None
    order = head_to_tail(counts)
    names = classes_of((record for one in shown for record in one.records), len(counts))
    return Data(
        classes=[names[c] for c in order],
        counts=[counts[c] for c in order],
        lines=[(label, [values[c] for c in order]) for label, values in lines],
        reported=[(k, [v[c] for c in order]) for k, v in sorted(reported.items()) if len(v) == len(order)],
        n=runs_of(shown),
    )


def draw(data: Data) -> Figure:
    """Draw accuracies above, training images below."""
    size = len(data.classes)
    labels = [label for label, _ in data.lines] + [label for label, _ in data.reported]
    made = figure(3.7 + legend_height(labels))
    above, below = made.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    places = list(range(size))
    window = 1 if size <= LABELLED else max(3, size // 12) | 1
    for number, (label, values) in enumerate(data.lines):
        known = [float("nan") if value is None else 100 * value for value in values]
        look = {"color": color(number), "linewidth": 1.6}
        if window == 1:
            above.plot(places, known, marker=MARKERS[number % len(MARKERS)], markersize=4, label=label, **look)
        else:
            above.plot(places, known, linestyle="", marker=".", markersize=2.5, alpha=0.45, color=color(number))
            above.plot(places, smooth(known, window), label=label, **look)
    numbers = {label: number for number, (label, _) in enumerate(data.lines)}
    for label, said in data.reported:
        smoothed = smooth([100 * value for value in said], window)
        above.plot(places, smoothed, linestyle="--", linewidth=1.2, color=color(numbers.get(label, 0)),
                   label=f"{label} (reported)")  # fmt: skip
    percent_axis(above)
    above.set_ylabel("accuracy, %")
    above.set_title(
        f"Accuracy of each class (n = {data.n})"
        + ("" if window == 1 else f": dots, and their moving mean over {window} classes")
    )
    _counts(below, data.counts)
    below.set_xlim(-0.6, size - 0.4)
    if size <= LABELLED:
        below.set_xticks(places, data.classes, rotation=30, ha="right", rotation_mode="anchor")
    else:
        below.set_xlabel(f"{size} classes, from most to fewest training images")
    legend(made, above)
    return made


def _counts(axes: Axes, counts: Sequence[int]) -> None:
    """Draw training images, on a logarithmic axis because a long tail spans several powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.bar(range(len(counts)), [max(count, 0.5) for count in counts], width=0.8, color="#b0b0b0")
    axes.set_yscale("log")
    axes.set_ylabel("training\nimages")
    axes.yaxis.set_minor_locator(NullLocator())
    if len(counts) <= LABELLED:
        axes.yaxis.set_major_locator(NullLocator())
        for place, count in enumerate(counts):
            axes.text(place, max(count, 0.5), f"{count:,}", ha="center", va="bottom", fontsize=7.5)
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
