"""The ranking metric of combinations by imbalance factor (as the bar chart of report wong)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ltbench.leaderboard.figures.canvas import color, figure, legend, legend_height
from ltbench.leaderboard.figures.series import Series, runs_of
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.statistics.tests_and_intervals import estimate
from ltbench.leaderboard.tables.cell_text import factor_text, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar: a fraction, with half the width of its interval where there are several runs."""

    mean: float
    half: float | None


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`bars` has a list for each label, with an entry for each factor; None without a run."""

    factors: list[float]
    labels: list[str]
    bars: list[list[Bar | None]]
    n: str
    """Pairs of seeds."""
    metric: str = "top-1 accuracy"


def collect(shown: Sequence[Series], factors: Sequence[float], ranking: Ranking) -> Data | None:
    """Return the data of the figure; None without a number."""
    bars = [[_bar(one, factor, ranking.name) for factor in factors] for one in shown]
    if not any(bar for row in bars for bar in row):
        return None
    labels = [one.label for one in shown]
    return Data(factors=list(factors), labels=labels, bars=bars, n=runs_of(shown), metric=ranking.words)


def _bar(shown: Series, factor: float, metric: str) -> Bar | None:
    values = [r.score(metric) for r in shown.records if r.setting.imbalance_factor == factor]
    found = estimate(sorted(value for value in values if value is not None))
    if found is None:
        return None
    return Bar(mean=round(found.mean, 9), half=None if found.half is None else round(found.half, 9))


def draw(data: Data) -> Figure:
    """Draw a group of bars for each factor, with intervals and numbers."""
    made = figure(3.1 + legend_height(data.labels))
    axes = made.subplots()
    many = len(data.labels)
    width = min(0.84 / many, 0.13 * len(data.factors))
    for number, (label, row) in enumerate(zip(data.labels, data.bars, strict=True)):
        there = [(i, bar) for i, bar in enumerate(row) if bar is not None]
        places = [i + width * (number - (many - 1) / 2) for i, _ in there]
        heights = [100 * bar.mean for _, bar in there]
        axes.bar(places, heights, width * 0.92, color=color(number), label=label)
        halves = [100 * bar.half if bar.half is not None else 0.0 for _, bar in there]
        if any(halves):
            axes.errorbar(places, heights, halves, linestyle="", color="#000000", linewidth=0.8, capsize=2)
        crowded = many * len(data.factors) > 12
        for x, height, half, (_, bar) in zip(places, heights, halves, there, strict=True):
            axes.text(x, height + half + 0.8, percent(bar.mean), ha="center", va="bottom",
                      fontsize=6.5 if crowded else 8)  # fmt: skip
    tops = [100 * (bar.mean + (bar.half or 0.0)) for row in data.bars for bar in row if bar is not None]
    axes.set_ylim(0, min(110.0, max(tops) * 1.12 + 3))
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_xticks(range(len(data.factors)), [factor_text(factor) for factor in data.factors])
    axes.set_xlabel("imbalance factor")
    axes.set_ylabel(f"{data.metric}, %")
    several = any(bar.half is not None for row in data.bars for bar in row if bar is not None)
    axes.set_title(
        data.metric[:1].upper()
        + data.metric[1:]
        + (", mean with its 95 % interval" if several else "")
        + f" (n = {data.n})"
    )
    axes.set_xlim(-0.5, len(data.factors) - 0.5)
    legend(made, axes)
    return made
