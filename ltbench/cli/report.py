"""`ltbench report SUITE`: one HTML file for a browser."""

from __future__ import annotations

from pathlib import Path

import click

from ltbench.cli.options import leaderboards_option


@click.command("report")
@click.argument("suite")
@click.option("--open", "is_open", is_flag=True, help="Show it in the browser.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it is written.  [default: report.html in the suite's folder]",
)
@leaderboards_option
def command(suite: str, is_open: bool, output: Path | None, leaderboards: Path) -> None:
    """Make the report of SUITE: one HTML file that works from disk, without a network.

    Its table is sorted and filtered, rows that are ticked are compared, and each cell has its configuration,
    environment and log. Works from the records below --leaderboards alone. Needs the extra `report`.
    """
    from ltbench.leaderboard import publish
    from ltbench.leaderboard.html.document import document
    from ltbench.records.record import write_atomic

    # A folder without records is a suite that has not run yet, and its report says so.
    folder = (
        leaderboards / suite if suite and (leaderboards / suite).is_dir() else publish.folder_of(leaderboards, suite)
    )
    path = output or folder / "report.html"
    write_atomic(path, document(publish.load(folder)).encode())
    click.echo(path)
    if is_open:
        click.launch(path.resolve().as_uri())
