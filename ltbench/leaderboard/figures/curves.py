"""Learning curves: loss and accuracy on the training batches, epoch by epoch (as report rivadeneira's)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.leaderboard.figures.canvas import GRID, figure, legend, legend_height, title
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.series import Series, mean, seeds_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 200
_NAMES = ("epoch", "loss", "accuracy")


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The mean over the runs of a combination."""

    label: str
    look: Look
    epoch: list[float]
    loss: list[float | None]
    accuracy: list[float | None]


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn."""

    curves: list[Curve]
    where: str
    """The imbalance factor, in words."""
    seeds: str
    """Runs, in words."""


def collect(shown: Sequence[Series], where: str) -> Data | None:
    """Return the data of the figure; None if no run kept its curve."""
    curves = []
    for one in shown:
        runs = [r.curve for r in one.records if all(isinstance(r.curve.get(n), list) for n in _NAMES)]
        length = min((len(run[name]) for run in runs for name in _NAMES), default=0)
        if not length:
            continue
        places = sorted(
            {round(i * (length - 1) / max(1, min(length, _POINTS) - 1)) for i in range(min(length, _POINTS))}
        )
        curves.append(
            Curve(
                label=one.short,
                look=one.look,
                epoch=[mean(run["epoch"][i] for run in runs) or 0.0 for i in places],
                loss=[mean(_finite(run["loss"][i]) for run in runs) for i in places],
                accuracy=[mean(_finite(run["accuracy"][i]) for run in runs) for i in places],
            )
        )
    return Data(curves=curves, where=where, seeds=seeds_text(shown)) if curves else None


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def draw(data: Data) -> Figure:
    """Draw loss on the left, accuracy on the right."""
    from matplotlib.ticker import MaxNLocator

    made = figure(3.5 + legend_height([curve.label for curve in data.curves]))
    left, right = made.subplots(1, 2)
    nan = float("nan")
    for curve in data.curves:
        # A marker at every fifth of the curve; a training of one epoch is a point.
        every = max(1, len(curve.epoch) // 5)
        look: Any = {"color": curve.look.color, "linewidth": 2.0, "linestyle": curve.look.line,
                     "marker": curve.look.marker, "markersize": 7, "markevery": every}  # fmt: skip
        left.plot(curve.epoch, [nan if v is None else v for v in curve.loss], label=curve.label, **look)
        right.plot(curve.epoch, [nan if v is None else 100 * v for v in curve.accuracy], **look)
    for axes, name in ((left, "training loss"), (right, "training accuracy, %")):
        axes.set_ylabel(name)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(**GRID)
    left.set_ylim(bottom=0)
    right.set_ylim(0, 100)
    title(made, f"Learning curves at {data.where} (mean, {data.seeds})")
    legend(made, left)
    return made
