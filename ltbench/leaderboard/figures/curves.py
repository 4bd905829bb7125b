"""Learning curves: loss and accuracy on the training batches, epoch by epoch (as report rivadeneira's)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ltbench.leaderboard.figures.canvas import color, figure, legend, legend_height
from ltbench.leaderboard.figures.series import Series, mean, runs_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 200
_NAMES = ("epoch", "loss", "accuracy")


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The mean over the runs of a combination."""

    label: str
    epoch: list[float]
    loss: list[float | None]
    accuracy: list[float | None]
    runs: int


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn."""

    curves: list[Curve]


def collect(shown: Sequence[Series]) -> Data | None:
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
                label=one.label,
                epoch=[mean(run["epoch"][i] for run in runs) or 0.0 for i in places],
                loss=[mean(_finite(run["loss"][i]) for run in runs) for i in places],
                accuracy=[mean(_finite(run["accuracy"][i]) for run in runs) for i in places],
                runs=len(runs),
            )
        )
    return Data(curves=curves) if curves else None


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def draw(data: Data) -> Figure:
    """Draw loss on the left, accuracy on the right."""
    made = figure(2.9 + legend_height([curve.label for curve in data.curves]))
    left, right = made.subplots(1, 2)
    for number, curve in enumerate(data.curves):
        # A training of one epoch is a point.
        look = {"color": color(number), "linewidth": 1.6, "marker": "o" if len(curve.epoch) < 3 else None}
        nan = float("nan")
        left.plot(curve.epoch, [nan if v is None else v for v in curve.loss], label=curve.label, **look)
        right.plot(curve.epoch, [nan if v is None else 100 * v for v in curve.accuracy], **look)
    from matplotlib.ticker import MaxNLocator

    n = runs_text(curve.runs for curve in data.curves)
    for axes, title in ((left, f"Training loss (n = {n})"), (right, "Accuracy on training batches, %")):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="#dddddd", linewidth=0.6)
    left.set_ylim(bottom=0)
    right.set_ylim(0, 100)
    legend(made, left)
    return made
