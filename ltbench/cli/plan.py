"""`ltbench plan`: show what a run would do and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.data_lines import held_out_lines, kept_lines, report_lines
from ltbench.cli.options import device_option, load_registry, metric_option, plugin_options, suite_options
from ltbench.cli.output import print_fact, print_json
from ltbench.cli.running.prepare import metric_lines
from ltbench.core.units import big_number, duration
from ltbench.core.words import counted

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.ranking import Ranking
    from ltbench.planning.combinations import LeftOut
    from ltbench.planning.settings import DataUse
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.registry import Registry
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


@click.command("plan")
@suite_options
@metric_option
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Predict the time for this many workers.  [default: one per core or GPU]",
)
@device_option
@click.option("--cells", "with_cells", is_flag=True, help="List every cell with its id.")
def command(
    choice: PluginSelection,
    data_root: Path,
    store_path: Path,
    as_json: bool,
    workers: int | None,
    device: str,
    with_cells: bool,
    **asked: Any,
) -> None:
    """Show what a run would do: cells, jobs (shared, cached, stale), skipped combinations and predicted time."""
    from ltbench.cli.tuning_lines import tuning_facts, tuning_lines
    from ltbench.core.devices import slots_on
    from ltbench.executor import Context
    from ltbench.leaderboard.statistics.ranking import ranking_for
    from ltbench.leaderboard.tables.columns import declared_columns
    from ltbench.planning.parts import plan_parts
    from ltbench.planning.settings import data_uses
    from ltbench.running.run_record import about
    from ltbench.running.what_is_missing import plan_status
    from ltbench.store.store import Store
    from ltbench.timing.estimate import Prediction, known

    registry = load_registry(choice)
    suite = asked_suite(registry, **asked)
    devices = registry.executor(suite.executor or "local").devices(device)
    suite, slots = suite.trained_on(devices[0]), len(slots_on(devices, workers, per_gpu=1))
    context = Context(store=Store(store_path), registry=registry, data_root=data_root, devices=devices)
    uses = data_uses(suite, registry, data_root)
    columns = declared_columns(registry.of("metric"))
    rankings = [ranking_for(use.info.test_counts, suite.metric, columns) for use in uses]
    overview = _overview(suite, registry, data_root, listed=with_cells)
    suite = overview.planned
    past = known(context.store)
    left_out: list[LeftOut] = []
    cells: list[dict[str, Any]] = []
    notes: list[str] = []
    of_rows: set[str] = set()
    status: PlanStatus | None = None
    for part in plan_parts(suite, registry, data_root):
        prediction = Prediction.of(part, context, past=past, executor="local" if status is None else None)
        part_status = plan_status(part, context, prediction, workers=slots)
        status = part_status if status is None else status + part_status
        left_out += part.left_out
        notes += part.notes
        of_rows.update(note for cell in part.cells for note in cell.extra["notes"])
        if with_cells:
            cells += [{"id": c.key, **c.extra["setting"], "combination": about(c)} for c in part.cells]
    assert status is not None, "a plan has at least one part"
    on_rows = sorted(of_rows - set(notes))
    tuning = None if suite.tune is None else tuning_facts(suite, context, slots)
    facts = _facts(status, left_out, notes, on_rows) | ({"list": cells} if with_cells else {})
    facts |= {} if tuning is None else {"tuning": tuning}
    if as_json:
        about_suite = {"suite": suite.name, "data": _data_facts(uses, rankings), **overview.facts}
        print_json(about_suite | ({"up_to_one_technique": facts} if overview.is_counted else facts))
    else:
        _print_data(suite, uses, rankings)
        for line in overview.lines:
            print_fact(line)
        _print(status, left_out, notes, on_rows)
        for line in () if tuning is None else tuning_lines(tuning):
            print_fact(line)
        for cell in cells:
            click.echo(
                f"{cell['id']}  {cell['dataset']}  {cell['profile']} {cell['imbalance_factor']:g}  {cell['model']}  "
                f"seed {cell['subset_seed']}/{cell['seed']}  {cell['combination']}"
            )


class _Overview(NamedTuple):
    """What a plan says before its cells."""

    planned: Suite
    """The suite, or the part of it that is planned."""
    lines: Sequence[str] = ()
    facts: Mapping[str, Any] = MappingProxyType({})
    is_counted: bool = False
    """Whether the suite is counted, and only single techniques are planned."""


def _overview(suite: Suite, registry: Registry, data_root: Path, *, listed: bool) -> _Overview:
    """Return what is said of a screening design or a grid that is too large to plan. listed: whether to list all cells."""
    from ltbench.cli.screen_lines import screen_lines
    from ltbench.cli.space_lines import space_facts, space_lines
    from ltbench.errors import UsageError
    from ltbench.planning.grid import screen_of
    from ltbench.planning.planner import Planner
    from ltbench.planning.screen_quality import quality_of
    from ltbench.planning.space_size import LISTED, size_of_large
    from ltbench.suite.suite import changed

    if (design := screen_of(suite, registry, Planner(suite, registry, data_root))) is not None:
        quality = quality_of(design)
        return _Overview(suite, list(screen_lines(quality)), {"screen": quality})
    size = size_of_large(suite, registry, data_root)
    if size is None or (listed and size.cells <= LISTED):
        return _Overview(suite)
    if listed:
        raise UsageError(
            f"--cells lists at most {LISTED:,} cells, but there are {size.cells:,}",
            fix="--max-techniques 1",
        )
    # Beyond single techniques, planning takes too long, and a run seldom comes far.
    lines = [
        *space_lines(size),
        "",
        "Of these, the combinations of at most one technique:",
    ]
    return _Overview(changed(suite, max_techniques=1), lines, space_facts(size), is_counted=True)


def _data_facts(uses: Sequence[DataUse], rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    return [
        {
            "dataset": use.dataset,
            "training_images": sum(use.info.train_counts),
            "kept": {profile: {f"{factor:g}": sum(n) for factor, n in by.items()} for profile, by in use.kept.items()},
            **({"held_out": _by_factor(use)} if use.held_out else {}),
            "class_names": use.info.classes,
            "report": use.info.report,
            "ranked_by": ranking.name,
        }
        for use, ranking in zip(uses, rankings, strict=True)
    ]


def _facts(
    status: PlanStatus, left_out: Sequence[LeftOut], notes: Sequence[str], on_rows: Sequence[str]
) -> dict[str, Any]:
    return {
        "cells": status.jobs["cell"],
        "cells_done": status.cells_done,
        "cells_failed_before": len(status.failed),
        "jobs": status.jobs,
        "missing": status.missing,
        **{
            name: getattr(status, name)
            for name in (
                "trainings",
                "trainings_naive",
                "passes",
                "passes_naive",
                "stale",
            )
        },
        "metrics_to_derive": status.derivable,
        "metrics_missing": status.underivable,
        "left_out": [{"combination": out.combination.label, "reason": out.reason} for out in left_out],
        "notes": list(notes),
        "notes_on_rows": list(on_rows),
        "predicted_seconds": status.forecast.seconds,
        "predicted_elapsed": status.forecast.elapsed,
        "predicted_for_workers": status.forecast.workers,
        "predicted_from": status.forecast.basis,
        "trainings_not_predicted": status.forecast.unknown,
    }


def _by_factor(use: DataUse) -> dict[str, dict[str, dict[str, int]]]:
    """Return held-out images, and classes without any, by profile and factor."""
    return {
        profile: {
            f"{factor:g}": {"images": sum(counts), "classes_without": counts.count(0)}
            for factor, counts in by_factor.items()
        }
        for profile, by_factor in use.held_out.items()
    }


def _print_data(suite: Suite, uses: Sequence[DataUse], rankings: Sequence[Ranking]) -> None:
    print_fact(f"suite {suite.name}: {suite.title}")
    for use, ranking in zip(uses, rankings, strict=True):
        for number, line in enumerate(
            [
                *kept_lines(use),
                *held_out_lines(use),
                *report_lines(use.info.report, use.info.classes),
            ]
        ):
            print_fact(f"{'' if number else 'data':11} {line}")
        if ranking.why:
            print_fact(f"{'rows':11} {ranking.why[0].lower()}{ranking.why[1:]}")


def _print(status: PlanStatus, left_out: Sequence[LeftOut], notes: Sequence[str], on_rows: Sequence[str]) -> None:
    jobs, missing = status.jobs, status.missing
    again = f"; {len(status.failed)} failed before and will be retried" if status.failed else ""
    print_fact(f"cells       {jobs['cell']:,}, {status.cells_done:,} of them done" + again)
    if jobs["fit"]:
        ratio = status.trainings_naive / (status.trainings or 1)
        pieces = f" in {jobs['fit']:,} jobs" if jobs["fit"] > status.trainings else ""
        print_fact(
            f"trainings   {status.trainings:,}{pieces} for {counted(jobs['cell'], 'cell')}; {status.trainings_naive:,} without "
            f"sharing ({ratio:.1f}x saved)"
        )
        print_fact(
            f"cost        {big_number(status.passes)} forward passes of an image; {big_number(status.passes_naive)} without sharing "
            f"({status.passes_naive / status.passes:.1f}x saved)"
        )
    for kind, name in (
        *([("features", "features")] if jobs["features"] else []),
        ("fit", "to train"),
        ("predict", "to predict"),
        ("cell", "to derive"),
    ):
        print_fact(f"{name:11} {missing[kind]:,} of {jobs[kind]:,}")
    if status.stale:
        print_fact(f"stale       {counted(len(status.stale), 'cell')} made by other plugin versions and kept:")
        for line in sorted({line for lines in status.stale.values() for line in lines})[:SHOWN]:
            print_fact(f"            {line}")
        print_fact("            ltbench run --rerun-stale retrains them")
    for number, line in enumerate(metric_lines(status)):
        print_fact(f"{'' if number else 'metrics':12}{line}")
    if left_out:
        print_fact(f"left out    {counted(len(left_out), 'combination')}:")
        for out in left_out[:SHOWN]:
            print_fact(f"            {out.combination.label}: {out.reason}")
        if len(left_out) > SHOWN:
            print_fact(f"            and {len(left_out) - SHOWN:,} more (--json shows all)")
    for note in notes:
        print_fact(f"note        {note}")
    for number, note in enumerate(on_rows[:SHOWN]):
        print_fact(f"{'' if number else 'on rows':12}{note}")
    if len(on_rows) > SHOWN:
        print_fact(f"            and {len(on_rows) - SHOWN:,} more (--json shows all)")
    for line in f"time        {_time(status)}".splitlines():
        print_fact(line)


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
