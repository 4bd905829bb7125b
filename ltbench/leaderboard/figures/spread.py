"""Mean, standard deviation and box plot over the classes (as report park's Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.columns import BALANCED, CLASS_ACCURACY
from ltbench.leaderboard.figures.canvas import FONT, figure, percent_axis, title, wrapped
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.series import GROUPS, Series, by_class, mean, mean_of, seeds_text
from ltbench.leaderboard.tables.cell_text import percent
from ltbench.records.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A combination: accuracies of its classes, and means over runs of their mean and SD."""

    label: str
    look: Look
    values: list[float]
    mean: float | None
    spread: float | None


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """From top to bottom."""

    boxes: list[Box]
    where: str
    """The imbalance factor, in words."""
    seeds: str
    """Runs, in words."""
    by_percentile: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether values are percentiles of very many classes; omitted where they are those of the classes."""


def collect(shown: Sequence[Series], where: str) -> Data | None:
    """Return the data of the figure; None if no run has numbers by class."""
    boxes = [
        Box(
            label=one.short,
            look=one.look,
            values=_values(by_class(one.records, CLASS_ACCURACY)),
            mean=mean_of(one.records, BALANCED),
            spread=mean(_spread(record) for record in one.records),
        )
        for one in shown
    ]
    boxes = [box for box in boxes if box.values]
    many = any(len(by_class(one.records, CLASS_ACCURACY)) > GROUPS for one in shown)
    percentiles = True if many else msgspec.UNSET
    return Data(boxes=boxes, where=where, seeds=seeds_text(shown), by_percentile=percentiles) if boxes else None


def _values(accuracies: Sequence[float | None]) -> list[float]:
    """Return what is drawn of the accuracies of the classes: of very many the percentiles, which have the same quartiles."""
    known = [value for value in accuracies if value is not None]
    if len(accuracies) <= GROUPS or not known:
        return known
    return [round(float(value), 9) for value in np.percentile(known, range(101))]


def _spread(record: Record) -> float | None:
    known = [value for value in record.per_class.get(CLASS_ACCURACY, ()) if value is not None]
    return float(np.std(known)) if known else None


def draw(data: Data) -> Figure:
    """Draw a box for each combination, with the accuracies of the classes as points and mean and SD as text."""
    many = len(data.boxes)
    made = figure(1.6 + 0.68 * many)
    axes = made.subplots()
    for number, box in enumerate(data.boxes):
        values, color = [100 * value for value in box.values], box.look.color
        axes.boxplot(
            [values], positions=[number], orientation="horizontal", widths=0.5, showfliers=False, showmeans=False,
            patch_artist=True, manage_ticks=False,
            boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
            medianprops={"color": "#000000"}, whiskerprops={"color": color}, capprops={"color": color},
        )  # fmt: skip
        axes.plot(values, [number] * len(values), linestyle="", marker="|", markersize=7, color=color)
        center = sum(values) / len(values)
        if data.by_percentile and box.mean is not None:
            center = 100 * box.mean
        axes.plot([center], [number], marker="D", markersize=5, color="#ffffff", markeredgecolor="#000000")
        mean_text = "" if box.mean is None else f"mean {percent(box.mean)}"
        spread = "" if box.spread is None else f"SD {percent(box.spread)}"
        axes.text(101.5, number, "\n".join(filter(None, (mean_text, spread))), va="center", fontsize=FONT)
    percent_axis(axes, "x")
    axes.set_yticks(range(many), ["\n".join(wrapped(box.label, 24)) for box in data.boxes])
    axes.set_ylim(many - 0.4, -0.6)
    title(
        made,
        f"Accuracy of the classes at {data.where}, each a mean over {data.seeds} "
        f"(tick: {'percentile' if data.by_percentile else 'class'}; box: quartiles and median; diamond: mean)",
    )
    axes.set_xlabel("accuracy of a class, %")
    return made
