"""Prepares a run: discards stale results, fetches data sets, and prints what will be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ltbench.core.units import duration
from ltbench.core.words import counted

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.planning.plan import Plan
    from ltbench.running.options import RunOptions
    from ltbench.running.what_is_missing import PlanStatus
    from ltbench.timing.estimate import Prediction


def prepare(
    plan: Plan, context: Context, prediction: Prediction, *, workers: int, options: RunOptions
) -> PlanStatus:  # fmt: skip
    """Discard stale results if requested, prepare the data, and print what will be done; return what is missing."""
    from ltbench.running.what_is_missing import plan_status

    for note in plan.notes:
        click.echo(f"note: {note}", err=True)

    def look() -> PlanStatus:
        return plan_status(plan, context, prediction, workers=workers, retry_failed=options.retry_failed)

    status = look()
    if status.stale:
        _report_stale(status, renewed=options.rerun_stale)
    if options.rerun_stale and (status.stale or status.underivable):
        discard_stale(plan, status, context)
        status = look()
    for line in metric_lines(status):
        click.echo(line, err=True)
    if status.missing["fit"]:
        _fetch(plan, context)
    missing = status.missing
    click.echo(
        f"{counted(status.jobs['cell'], 'cell')}, {status.cells_done:,} of them done; to do: "
        f"{counted(missing['fit'], 'training')}, {counted(missing['predict'], 'prediction')}, "
        f"{counted(missing['cell'], 'cell')} to derive"
        + ("" if status.forecast.elapsed is None else f"; about {duration(status.forecast.elapsed)}"),
        err=True,
    )
    return status


def metric_lines(status: PlanStatus) -> list[str]:
    """Return a line for each metric that cells lack: whether it can be derived, or why not."""
    lines = []
    for name, count in _count(status.derivable):
        lacking = f"{counted(count, 'cell')} {'lacks' if count == 1 else 'lack'}"
        lines.append(f"{lacking} {name}: will be derived without training")
    for name, count in _count(status.underivable):
        lines.append(
            f"{name} is missing from {counted(count, 'cell')} whose logits were pruned or have changed; use --rerun-stale to recompute them"
        )
    return lines


def _count(lacking: Mapping[str, Mapping[str, str]]) -> list[tuple[str, int]]:
    found = Counter(item for missing in lacking.values() for item in missing.items())
    return [(f"metric '{name}'" + f" ({about})" * bool(about), count) for (name, about), count in sorted(found.items())]


def discard_stale(plan: Plan, status: PlanStatus, context: Context) -> None:
    """Discard records that are stale, or that lack a metric which cannot be derived from stored logits.

    Their trainings and predictions are discarded, too, if those are stale. So are predictions of a training that is
    discarded: their logits are not those of the network that takes its place.
    """
    from ltbench.planning.shared_fits import ancestors
    from ltbench.registry.differences import differences
    from ltbench.store.training_states import remove_states

    store = context.store
    current: dict[tuple[str, str], dict[str, Any]] = {}
    gone: set[str] = set()
    for cell in plan.cells:
        if cell.key not in status.stale and cell.key not in status.underivable:
            continue
        store.discard(cell.key)
        for predict in cell.parents:
            own, *features = plan.jobs[predict].parents
            for key in [*(job.key for job in ancestors(own, plan.jobs)), *features, predict]:
                if not store.has(key):
                    continue
                # A prediction that an earlier version made does not name the plugins of its training.
                if (key == predict and own in gone) or differences(
                    store.meta(key)["plugins"], context.registry, current
                ):
                    store.discard(key)
                    remove_states(key, store)
                    gone.add(key)


def _fetch(plan: Plan, context: Context) -> None:
    """Download and prepare the data sets once, before several workers need them."""
    from ltbench.engine.dataset_arrays import prepare
    from ltbench.stages import Dataset

    for label in dict.fromkeys(cell.extra["setting"]["dataset"] for cell in plan.cells):
        dataset = context.registry.parse(label, "dataset")
        assert isinstance(dataset, Dataset)
        prepare(dataset, context.data_root)


def _report_stale(status: PlanStatus, *, renewed: bool) -> None:
    lines = sorted({line for lines in status.stale.values() for line in lines})
    one = len(status.stale) == 1
    kept = f"{'is' if one else 'are'} kept (use --rerun-stale to rerun {'it' if one else 'them'})"
    what = "will be rerun" if renewed else kept
    click.echo(
        f"{counted(len(status.stale), 'cell')} {'was' if one else 'were'} made by other versions of plugins and {what}: {'; '.join(lines)}",
        err=True,
    )
