"""`ltbench compare`: compare two sets of records, or two combinations of one suite."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import find_page, leaderboards_option
from ltbench.cli.output import print_json, print_styled, terminal_width
from ltbench.costs import resolved
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command("compare")
@click.argument("what", nargs=-1, metavar="A B | SUITE A B")
@click.option("--metric", metavar="NAME", callback=lambda _context, _option, name: resolved(name or ""), help="The metric to compare.  [default: top1, or balanced_accuracy if a test split is not balanced]")  # fmt: skip
@click.option("--cells", is_flag=True, help="Show every run, not only the means.")
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, including every run.")
@skips_bad_lines
def command(what: tuple[str, ...], metric: str | None, cells: bool, leaderboards: Path, as_json: bool) -> None:
    """Compare two combinations of a suite, as its page compares them, or two sets of records, run by run.

    Two arguments are two sets of records: leaderboards, suites' folders, records files or stores.

        ltbench compare quick other/quick

    Three arguments are a set of records and two of its combinations, written as in its table, or two of its
    cells, by the first digits of their ids.

        ltbench compare quick cb_sampler "cb_sampler + mixup"
    """
    from ltbench.leaderboard.compare.places import compare_places
    from ltbench.leaderboard.compare.terminal import comparison_text

    if len(what) not in (2, 3):
        raise UsageError(
            f"compare takes two or three names, not {len(what)}",
            fix='ltbench compare SUITE OTHER_SUITE, or ltbench compare SUITE "a" "a + b"',
        )
    places = [find_page(name, leaderboards) for name in (what if len(what) == 2 else what[:1])]
    comparison = compare_places(places, what[1:] if len(what) == 3 else (), metric)
    if as_json:
        print_json(comparison)
        return
    print_styled(comparison_text(comparison, terminal_width(), cells=cells, color=sys.stdout.isatty()))
