"""What a run would do, as facts and as lines: for `ltbench plan` and `ltbench.plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ltbench.cli.plan_lines import data_lines, status_lines

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.ranking import Ranking
    from ltbench.planning.combinations import LeftOut
    from ltbench.planning.settings import DataUse
    from ltbench.registry.registry import Registry
    from ltbench.running.what_is_missing import PlanStatus
    from ltbench.suite.suite import Suite


class Planned(NamedTuple):
    """What a run would do."""

    facts: dict[str, Any]
    """As `--json` prints them."""
    lines: list[str]
    """Each a label and a text."""
    cell_lines: list[str]
    """One for each cell, if they are listed."""


def planned(
    suite: Suite, registry: Registry, *, store_path: Path, data_root: Path, device: str, workers: int | None, listed: bool,
    per_gpu: int = 1,
) -> Planned:  # fmt: skip
    """Return what a run of a suite would do. listed: whether to list all cells. Raises `UsageError` if these are too many."""
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

    devices = registry.executor(suite.executor or "local").devices(device)
    suite, slots = suite.trained_on(devices[0]), len(slots_on(devices, workers, per_gpu))
    context = Context(store=Store(store_path), registry=registry, data_root=data_root, devices=devices)
    uses = data_uses(suite, registry, data_root)
    columns = declared_columns(registry.of("metric"))
    rankings = [ranking_for(use.info.test_counts, suite.metric, columns) for use in uses]
    overview = _overview(suite, registry, data_root, listed=listed)
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
        if listed:
            cells += [{"id": c.key, **c.extra["setting"], "combination": about(c)} for c in part.cells]
    assert status is not None, "a plan has at least one part"
    on_rows = sorted(of_rows - set(notes))
    tuning = None if suite.tune is None else tuning_facts(suite, context, slots)
    facts = _facts(status, left_out, notes, on_rows) | ({"list": cells} if listed else {})
    facts |= {} if tuning is None else {"tuning": tuning}
    about_suite = {"suite": suite.name, "data": _data_facts(uses, rankings), **overview.facts}
    return Planned(
        facts=about_suite | ({"up_to_one_technique": facts} if overview.is_counted else facts),
        lines=[
            *data_lines(suite, uses, rankings),
            *overview.lines,
            *status_lines(status, left_out, notes, on_rows),
            *(() if tuning is None else tuning_lines(tuning)),
        ],
        cell_lines=[
            f"{cell['id']}  {cell['dataset']}  {cell['profile']} {cell['imbalance_factor']:g}  {cell['model']}  "
            f"seed {cell['subset_seed']}/{cell['seed']}  {cell['combination']}"
            for cell in cells
        ],
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
