"""Training images of each class, what resampling does to them, and what a bag holds (as report wong's Fig. 3, 5, 6)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.leaderboard.figures.canvas import (
    NUMBERED,
    SMALL,
    class_axis,
    class_axis_height,
    figure,
    legend,
    short_count,
    title,
)
from ltbench.leaderboard.figures.series import group_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT, DROPPED, COPIED = "#0072B2", "#009E73", "#E69F00"


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Class counts from head to tail. `threshold` is that of resampling or bags, None for the plain histogram."""

    classes: list[str]
    counts: list[int]
    threshold: int | None = None


def collect(classes: Sequence[str], counts: Sequence[int], threshold: int | None = None) -> Data | None:
    """Return the data of the figure; None if there is no class. classes, counts: in label order."""
    order = sorted(range(len(counts)), key=lambda c: (-counts[c], c))
    if not order:
        return None
    return Data(classes=[classes[c] for c in order], counts=[counts[c] for c in order], threshold=threshold)


def rates(counts: Sequence[int], threshold: int) -> list[float]:
    """Return how often an image of each class is taken so that every class has `threshold`: threshold / count.

    >>> rates([500, 100], 300)
    [0.6, 3.0]
    """
    return [threshold / count if count else 0.0 for count in counts]


def bag(counts: Sequence[int], threshold: int) -> tuple[int, list[int], list[bool]]:
    """Return the number of bags, what the first bag has of each class, and which classes are dealt out.

    There are n_max // threshold bags. Classes larger than the median are dealt to the bags card by card; the others are
    copied to each.

    >>> bag([500, 300, 120, 80, 50], 120)
    (4, [125, 75, 120, 80, 50], [True, True, False, False, False])
    """
    bags = max(1, max(counts) // threshold)
    middle = median(counts)
    dealt = [count > middle for count in counts]
    if not any(dealt):
        dealt = [count == middle for count in counts]
    dealt = [bags > 1 and is_dealt and count >= bags for is_dealt, count in zip(dealt, counts, strict=True)]
    cards, held = 0, []
    for count, is_dealt in zip(counts, dealt, strict=True):
        # Card number `cards` goes to bag `cards % bags`, on through the classes.
        held.append(len(range(-cards % bags, count, bags)) if is_dealt else count)
        cards += count if is_dealt else 0
    return bags, held, dealt


def draw(data: Data) -> Figure:
    """Draw the plain histogram."""
    made = figure(2.5 + class_axis_height(data.classes))
    axes = made.subplots()
    _bars(axes, range(len(data.counts)), data.counts, len(data.counts), color=KEPT)
    _label(axes, data, [short_count(count) for count in data.counts], data.counts)
    title(made, f"{sum(data.counts):,} training images, {data.counts[0]:,} to {data.counts[-1]:,} per class")
    return made


def draw_resampling(data: Data) -> Figure:
    """Draw the images kept, dropped and copied to bring every class to the threshold, with the rate of each class."""
    threshold = data.threshold or 1
    made = figure(3.1 + class_axis_height(data.classes))
    axes = made.subplots()
    size = len(data.counts)
    places = range(size)
    kept = [min(count, threshold) for count in data.counts]
    dropped = [max(count - threshold, 0) for count in data.counts]
    copied = [threshold - count if 0 < count < threshold else 0 for count in data.counts]
    _bars(axes, places, kept, size, color=KEPT, label="kept")
    _bars(axes, places, dropped, size, bottom=kept, color=DROPPED, alpha=0.55, hatch="//", edgecolor="#ffffff",
          label="dropped")  # fmt: skip
    _bars(axes, places, copied, size, bottom=kept, color=COPIED, alpha=0.75, hatch="\\\\", edgecolor="#ffffff",
          label="copies")  # fmt: skip
    axes.axhline(threshold, color="#000000", linestyle="--", linewidth=1, label=f"threshold {threshold:,}")
    texts = [f"×{rate:.2g}" for rate in rates(data.counts, threshold)]
    _label(axes, data, texts, [max(count, threshold) for count in data.counts])
    rates_above = ", at the rate above its bar" if len(data.counts) <= NUMBERED else ""
    title(made, f"Resampling: every class is brought to the threshold{rates_above}")
    legend(made, axes)
    return made


def draw_bags(data: Data) -> Figure:
    """Draw all training images on the left, one bag on the right."""
    threshold = data.threshold or 1
    bags, held, dealt = bag(data.counts, threshold)
    made = figure(3.1 + class_axis_height(data.classes))
    left, right = made.subplots(1, 2, sharey=True)
    for axes, heights in ((left, data.counts), (right, held)):
        for wanted, color, name in (
            (True, KEPT, "majority: dealt to the bags"),
            (False, COPIED, "minority: copied to each"),
        ):
            some = [c for c, is_dealt in enumerate(dealt) if is_dealt is wanted]
            _bars(axes, some, [heights[c] for c in some], len(dealt), color=color, label=name)
        axes.axhline(threshold, color="#000000", linestyle="--", linewidth=1, label=f"threshold {threshold:,}")
        _label(axes, data, None, data.counts)
    right.set_ylabel("")
    left.set_title(f"All: {sum(data.counts):,} images, {data.counts[0]:,} // {threshold:,} = {bags} bags")
    right.set_title(f"One bag: {sum(held):,} images")
    legend(made, left)
    return made


def _bars(
    axes: Axes, places: Sequence[int], heights: Sequence[int], classes: int, bottom: Sequence[int] | None = None,
    **look: Any,
) -> None:  # fmt: skip
    """Draw bars. Of very many classes, which differ little from their neighbours, one stands for its group."""
    size = group_size(classes)
    drawn = [i for i, place in enumerate(places) if place % size == 0]
    lowest = None if bottom is None else [bottom[i] for i in drawn]
    middle = (size - 1) / 2
    axes.bar([places[i] + middle for i in drawn], [heights[i] for i in drawn], width=size - 0.15, bottom=lowest, **look)


def _label(axes: Axes, data: Data, texts: Sequence[str] | None, tops: Sequence[int]) -> None:
    size = len(data.counts)
    axes.set_ylabel("training images")
    axes.set_ylim(0, max([*tops, 1]) * 1.12)
    axes.set_xlim(-0.7, size - 0.3)
    class_axis(axes, data.classes)
    for place, (text, top) in enumerate(zip(texts or [], tops, strict=False) if size <= NUMBERED else ()):
        axes.text(place, top, text, ha="center", va="bottom", fontsize=SMALL)
