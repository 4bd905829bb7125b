"""Runs parts, writes their page, and prints what came of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from ltbench.cli.options import leaderboards_words
from ltbench.cli.output import print_json, print_styled
from ltbench.cli.running.damage import reporting_damage
from ltbench.cli.running.parts import RunResult, run_parts
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED

if TYPE_CHECKING:
    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.cli.running.part_sources import PartSource
    from ltbench.executor import Context, ExecutorOffer, Terms
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.observer import ObserverOffer
    from ltbench.registry.discovery import PluginSelection
    from ltbench.running.options import RunOptions
    from ltbench.store.quarantine import Damage

SHOWN = 20
"""Most rows per table that a run prints at its end."""


class Output(NamedTuple):
    """Where the results of a run go."""

    leaderboards: Path
    is_published: bool
    is_replaced: bool
    """Whether published records of another type of machine are replaced."""
    as_json: bool
    observers: Sequence[ObserverOffer] = ()
    """What watches the run."""


class PageRun(NamedTuple):
    """A run that has written its page."""

    result: RunResult
    damaged: list[Damage]
    page: PageOfRun

    @property
    def facts(self) -> dict[str, Any]:
        """As `--json` prints them."""
        page = str(self.page.file) if self.page.file.is_file() else None
        return _facts(self.result, self.damaged) | {"page": page}


def completed(
    page: PageOfRun, choice: PluginSelection, data_root: Path, *, is_replaced: bool, names_data: bool
) -> PageOfRun:
    """Return the page with what its command needs besides the suite: plugins and the folder of data sets.

    names_data: whether the user has named that folder.
    """
    import msgspec

    page = msgspec.structs.replace(page, plugin_files=(*choice.files, *choice.words), is_replaced=is_replaced)
    # The user's own images are only found with --data-root; a folder from the environment is specific to a reader.
    if names_data:
        page = msgspec.structs.replace(page, command=f"{page.command} {shlex.join(['--data-root', str(data_root)])}")
    return page


def names_data() -> bool:
    """Whether the command line has named the folder of data sets."""
    return click.get_current_context().get_parameter_source("data_root") is ParameterSource.COMMANDLINE


def run_to_page(
    source: PartSource, suite: str, page: PageOfRun, context: Context, offer: ExecutorOffer, terms: Terms,
    options: RunOptions, command: Sequence[str], observers: Sequence[ObserverOffer] = (),
) -> PageRun:  # fmt: skip
    """Run the parts of a source and write the page.

    suite: its name; command: the words that `ltbench status` shows; observers: what watches the run.
    """
    import msgspec

    from ltbench.running.observing import Observing
    from ltbench.running.run_log import RunLog

    context = msgspec.structs.replace(context, watched=bool(observers))
    with (
        reporting_damage(context.store) as damaged,
        offer.make(context, terms) as executor,
        RunLog(context.store, command=command, suite=suite, executor=offer.name, workers=executor.slots) as log,
        Observing(
            observers, context.registry.origin, context.store, run=log.run.id, suite=suite, command=command
        ) as observing,
    ):
        result = run_parts(source, context, executor, options, log=log, page=page, observing=observing)
    if log.problem:
        click.echo(f"warning: {log.problem}", err=True)
    return PageRun(result, damaged(), page)


def run_page(
    source: PartSource, suite: str, page: PageOfRun, context: Context, offer: ExecutorOffer, terms: Terms,
    options: RunOptions, output: Output,
) -> int:  # fmt: skip
    """Run the parts of a source, write and print the page, and return the exit code.

    suite: its name. Raises `UsageError` before anything runs if the page cannot be published where it should be.
    """
    from ltbench.cli.running.publishing import check_publishable, print_published, publish_page
    from ltbench.core.atomic_files import check_writable

    if output.is_published:
        target = output.leaderboards / page.folder.name
        check_publishable(target, page.definition, is_replaced=output.is_replaced, fix="--name OTHER, or --replace")
        check_writable(target, "the published page", fix="--leaderboards FOLDER")
    ran = run_to_page(source, suite, page, context, offer, terms, options, ["ltbench", *sys.argv[1:]], output.observers)
    result = ran.result
    if output.as_json:
        print_json(ran.facts)
    elif result.shown is not None:
        _show(result.shown, result.published)
    elif page.file.is_file() and options.sharing:
        command = ["ltbench", "leaderboard", page.folder.relative_to(output.leaderboards).as_posix()]
        click.echo(
            f"up to date: {page.file}; to print it: {shlex.join([*command, *leaderboards_words(output.leaderboards)])}",
            err=True,
        )
    if result.stopped is not None:
        raise result.stopped
    if output.is_published and page.file.is_file():
        print_published(publish_page(page.folder.name, output.leaderboards, None, is_replaced=output.is_replaced))
    return report(result)


def _show(loaded: SuiteFolder, published: Sequence[Path]) -> None:
    from ltbench.cli.leaderboard import fitted_text

    print_styled(fitted_text(loaded, most=SHOWN))
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
        "executed": {
            kind: sum(s.ran.get(kind, 0) for s in summaries) for kind in ("features", "fit", "predict", "cell")
        },
        "seconds": sum(s.seconds for s in summaries),
        "written": [str(path) for path in result.published],
        "damaged": [{"key": d.key, "where": str(d.where), "why": d.why} for d in damaged],
    }


def report(result: RunResult) -> int:
    """Print what remains to be done and return the exit code."""
    summaries = result.summaries
    failed, unfinished = sum(len(s.failed) for s in summaries), sum(s.unfinished for s in summaries)
    remaining = [f"{counted(unfinished, 'cell')} {'remains' if unfinished == 1 else 'remain'}"] if unfinished else []
    if result.rest:
        remaining.append(result.rest)
    if remaining:
        click.echo(f"{', and '.join(remaining)}; run the same command to continue", err=True)
    if shown := failed - result.failed_of_no_page:
        logs = "its log" if shown == 1 else "their logs"
        click.echo(f"{counted(shown, 'cell')} failed; see the page for {logs}", err=True)
    if result.failed_of_no_page:
        which = counted(result.failed_of_no_page, "cell")
        click.echo(f"{which} of no page failed (trials, or first halves of trainings); see FAILED above", err=True)
    for metric, cells in sorted(result.failed_metrics.items()):
        which = counted(len(cells), "cell")
        click.echo(
            f"metric '{metric}' failed in {which} (other metrics are unaffected): {min(cells.values())}", err=True
        )
    return CELLS_FAILED if failed or result.failed_metrics else 0
