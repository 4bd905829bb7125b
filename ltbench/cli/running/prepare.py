"""What comes before a run: stale work, data, and what is to be done in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.core.units import duration

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.planning.plan import Plan
    from ltbench.running.what_is_missing import PlanStatus
    from ltbench.store.store import Store
    from ltbench.timing.estimate import Prediction


def prepare(
    plan: Plan, store: Store, registry: Techniques, data_root: Path, prediction: Prediction, *, workers: int,
    rerun_stale: bool,
) -> None:  # fmt: skip
    """Say what is to be done of a plan, and see that it can be: stale work put away if asked for, data in place."""
    from ltbench.running.what_is_missing import plan_status

    view = plan_status(plan, store, registry, prediction, workers=workers)
    if view.stale:
        _tell_stale(view, renewed=rerun_stale)
        if rerun_stale:
            discard_stale(plan, view, store, registry)
            view = plan_status(plan, store, registry, prediction, workers=workers)
    if view.missing["fit"]:
        _fetch(plan, registry, data_root)
    missing = view.missing
    click.echo(
        f"{view.jobs['cell']} cells, {view.cells_done} of them done; to do: {missing['fit']} trainings, "
        f"{missing['predict']} predictions, {missing['cell']} cells to derive"
        + ("" if view.forecast.elapsed is None else f"; about {duration(view.forecast.elapsed)}"),
        err=True,
    )


def discard_stale(plan: Plan, view: PlanStatus, store: Store, registry: Techniques) -> None:
    """Set aside the records of stale cells, and what of their trainings and predictions is stale itself."""
    from ltbench.planning.shared_fits import ancestors
    from ltbench.registry.differences import differences
    from ltbench.store.training_states import remove_states

    cache: dict[str, dict[str, Any]] = {}
    for cell in plan.cells:
        if cell.key not in view.stale:
            continue
        store.discard(cell.key)
        for predict in cell.parents:
            for key in [predict, *(fit.key for fit in ancestors(plan.jobs[predict].parents[0], plan.jobs))]:
                if store.has(key) and differences(store.meta(key)["plugins"], registry, cache):
                    store.discard(key)
                    remove_states(key, store)


def _fetch(plan: Plan, registry: Techniques, data_root: Path) -> None:
    """See that the data sets are there, downloaded and prepared, before several workers need them at once."""
    from ltbench.engine.dataset_arrays import prepare
    from ltbench.stages import Dataset

    for label in dict.fromkeys(cell.extra["setting"]["dataset"] for cell in plan.cells):
        dataset = registry.parse(label, "dataset")
        assert isinstance(dataset, Dataset)
        prepare(dataset, data_root)


def _tell_stale(view: PlanStatus, *, renewed: bool) -> None:
    lines = sorted({line for lines in view.stale.values() for line in lines})
    what = "are trained again" if renewed else "are kept as they are (--rerun-stale trains them again)"
    click.echo(
        f"{len(view.stale)} cells were made by other versions of plugins and {what}: {'; '.join(lines)}", err=True
    )
