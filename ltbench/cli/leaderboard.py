"""`ltbench leaderboard`: print, check or render leaderboards from their records."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import find_folder, leaderboards_option, metric_option
from ltbench.cli.output import print_json, print_styled, terminal_width
from ltbench.cli.paths import PathOption
from ltbench.cli.writing import readme_lock, writing
from ltbench.errors import CELLS_FAILED, DONE, RecordError, SuiteError, UsageError

if TYPE_CHECKING:
    from ltbench.leaderboard.publish import Refresh, SuiteFolder
    from ltbench.leaderboard.suite_facts import SuiteFacts


@click.command("leaderboard")
@click.argument("suite", required=False)
@leaderboards_option
@click.option(
    "--readme",
    type=PathOption(dir_okay=False),
    default=Path("README.md"),
    show_default=True,
    metavar="FILE",
    help="File with leaderboard tables between markers, if it exists.",
)
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="If a generated file is out of date, print a diff and the fix, and exit with 5.",
)
@click.option("--update", "is_update", is_flag=True, help="Render pages, CSV and README tables.")
@click.option(
    "--from-suites",
    is_flag=True,
    help="With --check or --update: take title, notes, published numbers and claims from the installed suites.",
)
@metric_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@skips_bad_lines
def command(
    suite: str | None, leaderboards: Path, readme: Path, is_check: bool, is_update: bool, from_suites: bool,
    as_json: bool, metric: str
) -> int:  # fmt: skip
    """Print the leaderboard of SUITE, or all leaderboards: published ones first, then local ones.

    If SUITE is both published and local, the published one is printed; local/SUITE names the local one. --check and
    --update apply to published leaderboards. Only records below --leaderboards are read: no plugin, data set or store
    is needed. --update --from-suites updates pages after an edit of a suite file, without training.
    What is printed leaves out malformed lines and names them; the exit code is then 1. --check and --update stop at them.
    """
    if is_check and is_update:
        raise UsageError("--check and --update cannot be combined", fix="use one of them")
    if (is_check or is_update) and suite is not None:
        raise UsageError("--check and --update apply to all suites", fix="drop the suite")
    if (is_check or is_update) and metric:
        raise UsageError(
            "--metric only changes what is printed; --check and --update use the metric of each suite",
            fix="set `metric` in the suite",
        )
    if from_suites and not (is_check or is_update):
        raise UsageError(
            "--from-suites has no effect without --check or --update", fix="ltbench leaderboard --update --from-suites"
        )
    from ltbench.leaderboard import publish
    from ltbench.records.lines import needing_all_lines
    from ltbench.records.locations import pages

    if is_check or is_update:
        refresh = _refresh() if from_suites else None
        with needing_all_lines():
            if is_check:
                paths = publish.check(leaderboards, readme, refresh)
            else:
                with writing(*publish.folders(leaderboards), readme_lock(leaderboards)):
                    paths = publish.update(leaderboards, readme, refresh)
        if as_json:
            print_json({"current" if is_check else "changed": [str(path) for path in paths]})
        else:
            what = "up to date" if is_check else "updated"
            click.echo(f"1 file is {what}" if len(paths) == 1 else f"{len(paths)} files are {what}", err=True)
        return DONE
    folders = [find_folder(suite, leaderboards)] if suite is not None else [each.path for each in pages(leaderboards)]
    if not folders and not as_json:
        click.echo(f"no leaderboard in {leaderboards} yet; ltbench run creates one", err=True)
    suites = [publish.load(folders[0], metric)] if suite is not None else _readable(folders, metric)
    code = DONE if len(suites) == len(folders) else CELLS_FAILED
    if as_json:
        print_json(
            [
                {"folder": str(each.folder), "suite": each.facts, "boards": each.boards, "standing": each.trust}
                for each in suites
            ]
        )
        return code
    for number, each in enumerate(suites):
        if suite is None:
            click.echo("\n" * bool(number) + each.folder.relative_to(leaderboards).as_posix())
        print_styled(fitted_text(each))
    return code


def _readable(folders: Iterable[Path], metric: str) -> list[SuiteFolder]:
    """Return the pages that can be read; stderr names the others."""
    from ltbench.leaderboard import publish

    found = []
    for folder in folders:
        try:
            found.append(publish.load(folder, metric))
        except RecordError as error:
            click.echo(f"left out: {error}", err=True)
    return found


def _refresh() -> Refresh:
    """Return a function that updates the facts of a suite from its file, if it is installed."""
    from ltbench.cli.options import load_registry
    from ltbench.leaderboard.suite_facts import with_suite
    from ltbench.registry.discovery import PluginSelection
    from ltbench.suite.suite import find_suite

    registry = load_registry(PluginSelection())

    def refresh(facts: SuiteFacts) -> SuiteFacts:
        if facts.name not in registry.suites:
            return facts
        try:
            return with_suite(facts, find_suite(facts.name, registry), registry)
        except SuiteError as error:
            click.echo(f"the page of {facts.name} keeps its claims and notes: {error.what}", err=True)
            return facts

    return refresh


def fitted_text(loaded: SuiteFolder, most: int | None = None) -> str:
    """Return a leaderboard as text that fits the window, in color if stdout is a terminal.

    most: rows of each table.
    """
    from ltbench.leaderboard.page.terminal import leaderboard_text

    return leaderboard_text(
        loaded.facts, loaded.records, loaded.boards, terminal_width(), color=sys.stdout.isatty(), trust=loaded.trust,
        most=most, sentences=loaded.answer,
    )  # fmt: skip
