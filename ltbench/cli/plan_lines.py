"""The lines of `ltbench plan`: data, jobs, what is left out, time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.cli.data_lines import held_out_lines, kept_lines, report_lines
from ltbench.cli.running.prepare import metric_lines
from ltbench.core.units import big_number, duration
from ltbench.core.words import counted

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.ranking import Ranking
    from ltbench.planning.combinations import LeftOut
    from ltbench.planning.settings import DataUse
    from ltbench.running.what_is_missing import PlanStatus
    from ltbench.suite.suite import Suite

SHOWN = 10
SOURCES = {
    "run": "jobs of this run",
    "shape": "past jobs of this shape",
    "alike": "past jobs of this model",
    "cold": "first jobs",
    "multiply-adds": "past jobs of other models or sizes",
    "fits": "trainings of this model",
    "guess": "guesses",
}


def data_lines(suite: Suite, uses: Sequence[DataUse], rankings: Sequence[Ranking]) -> Iterator[str]:
    """Yield the suite, and what is kept of its data."""
    yield (f"suite {suite.name}: {suite.title}")
    for use, ranking in zip(uses, rankings, strict=True):
        for number, line in enumerate(
            [
                *kept_lines(use),
                *held_out_lines(use),
                *report_lines(use.info.report, use.info.classes),
            ]
        ):
            yield (f"{'' if number else 'data':11} {line}")
        if ranking.why:
            yield (f"{'rows':11} {ranking.why[0].lower()}{ranking.why[1:]}")


def status_lines(
    status: PlanStatus, left_out: Sequence[LeftOut], notes: Sequence[str], on_rows: Sequence[str]
) -> Iterator[str]:
    """Yield what there is to do, what is left out and why, and how long it will take."""
    jobs, missing = status.jobs, status.missing
    again = f"; {len(status.failed)} failed before and will be retried" if status.failed else ""
    yield (f"cells       {jobs['cell']:,}, {status.cells_done:,} of them done" + again)
    if jobs["fit"]:
        ratio = status.trainings_naive / (status.trainings or 1)
        pieces = f" in {jobs['fit']:,} jobs" if jobs["fit"] > status.trainings else ""
        yield (
            f"trainings   {status.trainings:,}{pieces} for {counted(jobs['cell'], 'cell')}; {status.trainings_naive:,} without "
            f"sharing ({ratio:.1f}x saved)"
        )
        yield (
            f"cost        {big_number(status.passes)} forward passes of an image; {big_number(status.passes_naive)} without sharing "
            f"({status.passes_naive / status.passes:.1f}x saved)"
        )
    for kind, name in (
        *([("features", "features")] if jobs["features"] else []),
        ("fit", "to train"),
        ("predict", "to predict"),
        ("cell", "to derive"),
    ):
        yield (f"{name:11} {missing[kind]:,} of {jobs[kind]:,}")
    if status.stale:
        yield (f"stale       {counted(len(status.stale), 'cell')} made by other plugin versions and kept:")
        for line in sorted({line for lines in status.stale.values() for line in lines})[:SHOWN]:
            yield (f"            {line}")
        yield ("            ltbench run --rerun-stale retrains them")
    for number, line in enumerate(metric_lines(status)):
        yield (f"{'' if number else 'metrics':12}{line}")
    if left_out:
        yield (f"left out    {counted(len(left_out), 'combination')}:")
        for out in left_out[:SHOWN]:
            yield (f"            {out.combination.label}: {out.reason}")
        if len(left_out) > SHOWN:
            yield (f"            and {len(left_out) - SHOWN:,} more (--json shows all)")
    for note in notes:
        yield (f"note        {note}")
    for number, note in enumerate(on_rows[:SHOWN]):
        yield (f"{'' if number else 'on rows':12}{note}")
    if len(on_rows) > SHOWN:
        yield (f"            and {len(on_rows) - SHOWN:,} more (--json shows all)")
    yield from f"time        {_time(status)}".splitlines()


def _time(status: PlanStatus) -> str:
    forecast = status.forecast
    if not status.missing["cell"]:
        return "nothing to do"
    if forecast.seconds is None or forecast.elapsed is None:
        return f"unknown: no comparable past jobs for {counted(forecast.unknown, 'training')}"
    total = sum(forecast.basis.values()) or 1.0
    parts = sorted(forecast.basis.items(), key=lambda part: -part[1])
    basis = ", ".join(f"{100 * s / total:.0f} % from {SOURCES[source]}" for source, s in parts if s >= total / 200)
    return (
        f"about {duration(forecast.elapsed)} with {counted(forecast.workers, 'worker')}, {duration(forecast.seconds)} of work\n"
        f"            {basis}"
    )
