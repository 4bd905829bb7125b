"""`ltbench run`: run the missing cells of a suite and show its leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.data_lines import dropped_lines
from ltbench.cli.options import (
    cell_options,
    leaderboards_option,
    load_registry,
    metric_option,
    observe_option,
    places_of,
    plugin_options,
    suite_options,
    worker_options,
)
from ltbench.cli.page_names import PageName
from ltbench.cli.running.part_sources import SuiteParts
from ltbench.cli.running.run_page import Output, completed, names_data, run_page
from ltbench.cli.units import Spendable, Spending
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection
    from ltbench.suite.suite import Suite


@click.command("run")
@suite_options
@click.option("--budget", type=Spending(), metavar="AMOUNT",
              help="Start no new jobs after this time (90s, 10m, 2h), number of cells (100cells), or passes of an image through "
                   "a network (20Mpasses).")  # fmt: skip
@worker_options
@click.option("--pdb", is_flag=True,
              help="With --executor inline: open Python's debugger when a job raises; 'q' continues with the next job.")  # fmt: skip
@click.option("--retry-failed/--keep-failed", default=True, show_default=True,
              help="Whether to retry cells that failed in an earlier run.")  # fmt: skip
@click.option(
    "--no-sharing", is_flag=True, help="Train every cell separately and write no page, to measure what sharing saves."
)
@click.option("--rerun-stale", is_flag=True, help="Rerun cells that were made by other versions of the plugins.")
@observe_option
@click.option("--name", type=PageName(), metavar="NAME",
              help="Name of the page.  [default: that of the suite; a changed suite gets another name]")  # fmt: skip
@click.option("--replace", "is_replaced", is_flag=True,
              help="Replace records of the page from another type of machine.")  # fmt: skip
@click.option("--publish", "is_published", is_flag=True, help="Then publish the page, as `ltbench publish` does.")
@leaderboards_option
@metric_option
@click.option("--json", "as_json", is_flag=True, help="Print a summary of the run as JSON instead of the leaderboard.")
@cell_options
@plugin_options
def command(
    choice: PluginSelection, data_root: Path, store_path: Path, budget: Spendable | None, executor_name: str | None,
    workers: int | None, device: str, per_gpu: int, retries: int, timeout: float | None, memory: int | None, pdb: bool, retry_failed: bool,
    no_sharing: bool, rerun_stale: bool, name: str | None, is_replaced: bool, is_published: bool, leaderboards: Path, as_json: bool, observed: tuple[str, ...], cell: str | None, records: Path | None,
    **asked: Any,
) -> int:  # fmt: skip
    """Run the missing cells of a suite, show progress, and print the leaderboard.

    The page is written below leaderboards/local, which git ignores; --publish or `ltbench publish` publishes it. A
    suite with changed techniques, data or seeds gets its own page. Results in the store are reused, whichever suite
    they were made for. After an interruption, the same command continues. With --cell only one cell is run, and its
    numbers are compared with its record.
    """
    from ltbench.cli.running.page_of_run import page_of_run
    from ltbench.executor import Context, Terms
    from ltbench.executors.debugger import chosen_work
    from ltbench.planning.settings import data_uses
    from ltbench.running.budget import Budget
    from ltbench.running.observing import observers_of
    from ltbench.running.options import RunOptions
    from ltbench.store.store import Store
    from ltbench.suite.suite import suite_path
    from ltbench.verification.rerun import device_of

    registry = load_registry(choice)
    store, observers = Store(store_path), observers_of(observed, registry)
    options = RunOptions(
        budget=None if budget is None else Budget(**budget),
        retries=retries,
        retry_failed=retry_failed,
        rerun_stale=rerun_stale,
        sharing=not no_sharing,
    )
    one_cell = cell is not None or records is not None
    suite = None if one_cell else asked_suite(registry, **asked)
    offer = registry.executor(((suite and suite.executor) or "local") if executor_name is None else executor_name)
    terms = Terms(
        workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory, work=chosen_work(offer.name, debug=pdb)
    )
    if suite is None:
        if observers:
            raise UsageError("--observe watches a suite, and --cell runs one cell", fix="remove one of them")
        from ltbench.cli.running.one_cell import asked_record, run_cell

        before = asked_record(cell, places_of(records, leaderboards))
        devices = offer.devices(device_of([before], device))
        context = Context(store=store, registry=registry, data_root=data_root, devices=devices)
        with offer.make(context, terms) as executor:
            return run_cell(before, context, executor, options, as_json=as_json)
    context = Context(store=store, registry=registry, data_root=data_root, devices=offer.devices(device))
    if no_sharing:
        _check_without_sharing(suite, is_published=is_published)
    for line in dropped_lines(data_uses(suite, registry, data_root)):
        click.echo(line, err=True)
    page = page_of_run(suite, suite_path(asked["suite_name"], registry), registry, leaderboards, name)
    page = completed(page, choice, data_root, is_replaced=is_replaced or rerun_stale, names_data=names_data())
    output = Output(
        leaderboards=leaderboards,
        is_published=is_published,
        is_replaced=is_replaced,
        as_json=as_json,
        observers=observers,
    )
    return run_page(
        SuiteParts(suite.trained_on(context.device), context), suite.name, page, context, offer, terms, options, output
    )


def _check_without_sharing(suite: Suite, *, is_published: bool) -> None:
    if is_published:
        raise UsageError(
            "--publish has no effect with --no-sharing", why="no page is written", fix="remove one of them"
        )
    if suite.tune is not None:
        raise UsageError("a suite with [tune] cannot run with --no-sharing", why="the trials of its rows share trainings",
                         fix="remove one of them")  # fmt: skip
