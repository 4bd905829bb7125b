"""`ltbench leaderboard`: print, check or render leaderboards from their records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.options import leaderboards_option, metric_option
from ltbench.cli.output import print_json, terminal_width
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.leaderboard.publish import SuiteFolder


@click.command("leaderboard")
@click.argument("suite", required=False)
@leaderboards_option
@click.option(
    "--readme",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("README.md"),
    show_default=True,
    metavar="FILE",
    help="A file with tables between markers, if it exists.",
)
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="Exit with 5, a diff and the command that fixes it if a generated file is out of date.",
)
@click.option("--update", "is_update", is_flag=True, help="Render pages, CSV and README tables.")
@metric_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(suite: str | None, leaderboards: Path, readme: Path, is_check: bool, is_update: bool, as_json: bool, metric: str) -> None:  # fmt: skip
    """Print the leaderboard of SUITE, or of every suite.

    Reads only the records below --leaderboards: needs no plugin, no data and no store.
    """
    if is_check and is_update:
        raise UsageError("--check and --update exclude each other", fix="give one of them")
    if (is_check or is_update) and suite:
        raise UsageError("--check and --update take every suite at once", fix="drop the suite")
    if (is_check or is_update) and metric:
        raise UsageError(
            "--metric changes what is printed, and --check and --update take what each suite says",
            fix="set the key `metric` of the suite",
        )
    from ltbench.leaderboard import publish

    if is_check or is_update:
        paths = (publish.check if is_check else publish.update)(leaderboards, readme)
        if as_json:
            print_json({"current" if is_check else "changed": [str(path) for path in paths]})
        else:
            what = "up to date" if is_check else "updated"
            click.echo(f"1 file is {what}" if len(paths) == 1 else f"{len(paths)} files are {what}", err=True)
        return
    folders = [publish.folder_of(leaderboards, suite)] if suite else publish.folders(leaderboards)
    if not folders and not as_json:
        click.echo(f"no leaderboard in {leaderboards} yet; ltbench run makes one", err=True)
    suites = [publish.load(folder, metric) for folder in folders]
    if as_json:
        print_json([{"suite": each.facts, "boards": each.boards, "standing": each.trust} for each in suites])
        return
    click.echo("\n".join(map(fitted_text, suites)), nl=False)


def fitted_text(loaded: SuiteFolder, most: int | None = None) -> str:
    """Return a leaderboard as text that fits the window, with color where stdout is a terminal.

    most: rows of each table.
    """
    from ltbench.leaderboard.page.terminal import leaderboard_text

    return leaderboard_text(
        loaded.facts, loaded.records, loaded.boards, terminal_width(), color=sys.stdout.isatty(), trust=loaded.trust,
        most=most,
    )  # fmt: skip
