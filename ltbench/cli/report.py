"""`ltbench report SUITE`: write one HTML file for a browser."""

from __future__ import annotations

from pathlib import Path

import click

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import find_folder, leaderboards_option, metric_option
from ltbench.cli.paths import PathOption


@click.command("report")
@click.argument("suite")
@click.option("--open", "is_open", is_flag=True, help="Open the report in the browser.")
@click.option(
    "--output",
    type=PathOption(dir_okay=False),
    metavar="FILE",
    help="File to write.  [default: report.html in the suite's folder]",
)
@leaderboards_option
@metric_option
@skips_bad_lines
def command(suite: str, is_open: bool, output: Path | None, leaderboards: Path, metric: str) -> None:
    """Write the report of SUITE: one HTML file that works offline.

    In it, sort and filter the table, compare selected rows, and see configuration, environment and log of each cell.
    Only records below --leaderboards are read. Needs the extra `report`.
    """
    from ltbench.leaderboard import publish
    from ltbench.leaderboard.html.document import document
    from ltbench.records.locations import can_be_name, named
    from ltbench.records.written_files import write_atomic

    # A suite that was never run has a folder without records; its report says so.
    empty = leaderboards / suite
    is_empty = can_be_name(suite) and empty.is_dir() and not named(suite, leaderboards)
    folder = empty if is_empty else find_folder(suite, leaderboards)
    path = output or folder / "report.html"
    write_atomic(path, document(publish.load(folder, metric)).encode())
    click.echo(path)
    if is_open:
        click.launch(path.resolve().as_uri())
