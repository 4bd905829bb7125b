"""`ltbench run`: run the missing cells of a suite and show its leaderboard."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.data_lines import dropped_lines
from ltbench.cli.options import (
    cell_options,
    leaderboards_option,
    leaderboards_words,
    load_registry,
    metric_option,
    places_of,
    plugin_options,
    suite_options,
)
from ltbench.cli.output import print_json
from ltbench.cli.running.damage import reporting_damage
from ltbench.cli.running.part_sources import SuiteParts
from ltbench.cli.running.parts import RunResult, run_parts
from ltbench.cli.units import Size, Span, Spendable, Spending
from ltbench.errors import CELLS_FAILED, UsageError

if TYPE_CHECKING:
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.registry.discovery import PluginSelection
    from ltbench.store.quarantine import Damage
    from ltbench.suite.suite import Suite

SHOWN = 20
"""Most rows per table that a run prints at its end."""


@click.command("run")
@suite_options
@click.option("--budget", type=Spending(), metavar="AMOUNT",
              help="Start no new jobs after this time (90s, 10m, 2h), number of cells (100cells), or passes of an image through "
                   "a network (20Mpasses).")  # fmt: skip
@click.option("--executor", "executor_name", metavar="NAME[OPTIONS]",
              help="Where jobs run: local (worker processes), inline (this process, for debugging), "
                   "dask[scheduler=tcp://host:port] (other machines), or a plugin's.  "
                   "[default: the suite's, else local]")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Worker processes.  [default: one per core]")
@click.option("--retries", type=click.IntRange(min=0), default=1, show_default=True, metavar="N",
              help="How often to retry a job whose worker died or exceeded a limit.")  # fmt: skip
@click.option("--timeout", type=Span(), metavar="TIME", help="Time limit of a job.  [default: no limit]")
@click.option("--memory", type=Size(), metavar="SIZE",
              help="Limit of a worker's resident memory: 500MB, 4GB.  [default: no limit]")  # fmt: skip
@click.option("--pdb", is_flag=True,
              help="With --executor inline: open Python's debugger when a job raises; 'q' continues with the next job.")  # fmt: skip
@click.option("--retry-failed/--keep-failed", default=True, show_default=True,
              help="Whether to retry cells that failed in an earlier run.")  # fmt: skip
@click.option(
    "--no-sharing", is_flag=True, help="Train every cell separately and write no page, to measure what sharing saves."
)
@click.option("--rerun-stale", is_flag=True, help="Rerun cells that were made by other versions of the plugins.")
@click.option("--name", metavar="NAME",
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
    workers: int | None, retries: int, timeout: float | None, memory: int | None, pdb: bool, retry_failed: bool,
    no_sharing: bool, rerun_stale: bool, name: str | None, is_replaced: bool, is_published: bool, leaderboards: Path, as_json: bool, cell: str | None, records: Path | None,
    **asked: Any,
) -> int:  # fmt: skip
    """Run the missing cells of a suite, show progress, and print the leaderboard.

    The page is written below leaderboards/local, which git ignores; --publish or `ltbench publish` publishes it. A
    suite with changed techniques, data or seeds gets its own page. Results in the store are reused, whichever suite
    they were made for. After an interruption, the same command continues. With --cell only one cell is run, and its
    numbers are compared with its record.
    """
    import msgspec

    from ltbench.cli.publish import check_publishable, print_published, publish_page
    from ltbench.cli.running.page_of_run import page_of_run
    from ltbench.core.atomic_files import check_writable
    from ltbench.executor import Context, Terms
    from ltbench.executors.debugger import chosen_work
    from ltbench.planning.settings import data_uses
    from ltbench.running.budget import Budget
    from ltbench.running.options import RunOptions
    from ltbench.running.run_log import RunLog
    from ltbench.store.store import Store
    from ltbench.suite.suite import suite_path

    registry = load_registry(choice)
    store = Store(store_path)
    context = Context(store=store, registry=registry, data_root=data_root)
    options = RunOptions(
        budget=None if budget is None else Budget(**budget),
        retries=retries,
        retry_failed=retry_failed,
        rerun_stale=rerun_stale,
        sharing=not no_sharing,
    )
    one_cell = cell is not None or records is not None
    suite = None if one_cell else asked_suite(registry, **asked)
    offer = registry.executor(executor_name or (suite and suite.executor) or "local")
    terms = Terms(workers=workers, timeout=timeout, memory=memory, work=chosen_work(offer.name, debug=pdb))
    if suite is None:
        from ltbench.cli.running.one_cell import run_cell

        with offer.make(context, terms) as executor:
            return run_cell(cell, places_of(records, leaderboards), context, executor, options, as_json=as_json)
    if no_sharing:
        _check_without_sharing(suite, is_published=is_published)
    for line in dropped_lines(data_uses(suite, registry, data_root)):
        click.echo(line, err=True)
    page = page_of_run(suite, suite_path(asked["suite_name"], registry), registry, leaderboards, name)
    page = msgspec.structs.replace(
        page, plugin_files=(*choice.files, *choice.words), is_replaced=is_replaced or rerun_stale
    )  # fmt: skip
    # The user's own images are only found with --data-root; a folder from the environment is specific to a reader.
    if click.get_current_context().get_parameter_source("data_root") is ParameterSource.COMMANDLINE:
        page = msgspec.structs.replace(page, command=f"{page.command} {shlex.join(['--data-root', str(data_root)])}")
    if is_published:
        target = leaderboards / page.folder.name
        check_publishable(target, page.definition, is_replaced=is_replaced, fix="--name OTHER, or --replace")
        check_writable(target, "the published page", fix="--leaderboards FOLDER")
    with (
        reporting_damage(store) as damaged,
        offer.make(context, terms) as executor,
        RunLog(
            store, command=["ltbench", *sys.argv[1:]], suite=suite.name, executor=offer.name, workers=executor.slots
        ) as log,
    ):
        result = run_parts(SuiteParts(suite, context), context, executor, options, log=log, page=page)
    if log.problem:
        click.echo(f"warning: {log.problem}", err=True)
    if as_json:
        print_json(_facts(result, damaged()) | {"page": str(page.file) if page.file.is_file() else None})
    elif result.shown is not None:
        _show(result.shown, result.published)
    elif page.file.is_file() and options.sharing:
        command = ["ltbench", "leaderboard", page.folder.relative_to(leaderboards).as_posix()]
        click.echo(
            f"up to date: {page.file}; to print it: {shlex.join([*command, *leaderboards_words(leaderboards)])}",
            err=True,
        )
    if result.stopped is not None:
        raise result.stopped
    if is_published and page.file.is_file():
        print_published(publish_page(page.folder.name, leaderboards, None, is_replaced=is_replaced))
    return _report(result)


def _check_without_sharing(suite: Suite, *, is_published: bool) -> None:
    if is_published:
        raise UsageError(
            "--publish has no effect with --no-sharing", why="no page is written", fix="remove one of them"
        )
    if suite.tune is not None:
        raise UsageError("a suite with [tune] cannot run with --no-sharing", why="the trials of its rows share trainings",
                         fix="remove one of them")  # fmt: skip


def _show(loaded: SuiteFolder, published: Sequence[Path]) -> None:
    from ltbench.cli.leaderboard import fitted_text

    click.echo(fitted_text(loaded, most=SHOWN), nl=False)
    drawn = sum(path.suffix == ".svg" for path in published)
    beside = [path.name for path in published if path.suffix != ".svg" and path.name != "README.md"]
    beside += [f"{drawn} figures"] * bool(drawn)
    click.echo(f"written: {loaded.folder / 'README.md'}, {', '.join(beside)}", err=True)


def _facts(result: RunResult, damaged: Sequence[Damage]) -> dict[str, Any]:
    summaries = result.summaries
    return {
        "combinations": result.combinations,
        "all_combinations": result.all_combinations,
        "cells": sum(s.cells for s in summaries),
        "done": sum(s.done for s in summaries),
        "failed": [key for s in summaries for key in s.failed],
        "failed_metrics": {metric: sorted(cells) for metric, cells in sorted(result.failed_metrics.items())},
        "unfinished": sum(s.unfinished for s in summaries),
        "executed": {kind: sum(s.ran.get(kind, 0) for s in summaries) for kind in ("fit", "predict", "cell")},
        "seconds": sum(s.seconds for s in summaries),
        "written": [str(path) for path in result.published],
        "damaged": [{"key": d.key, "where": str(d.where), "why": d.why} for d in damaged],
    }


def _report(result: RunResult) -> int:
    """Print what remains to be done and return the exit code."""
    summaries = result.summaries
    failed, unfinished = sum(len(s.failed) for s in summaries), sum(s.unfinished for s in summaries)
    remaining = [f"{unfinished} cells remain"] if unfinished else []
    if result.more:
        left = result.all_combinations - result.combinations
        not_begun = f"{left:,} of {result.all_combinations:,} combinations were not begun"
        remaining.append(not_begun if left else "the tuning is not finished")
    if remaining:
        click.echo(f"{', and '.join(remaining)}; run the same command to continue", err=True)
    if failed:
        click.echo(f"{failed} cells failed; see the page for their logs", err=True)
    for metric, cells in sorted(result.failed_metrics.items()):
        which = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        click.echo(
            f"metric '{metric}' failed in {which} (other metrics are unaffected): {min(cells.values())}", err=True
        )
    return CELLS_FAILED if failed or result.failed_metrics else 0
