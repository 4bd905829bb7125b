"""`ltbench compare`: compare two sets of records, or two combinations of one suite."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import find_page, leaderboards_option
from ltbench.cli.output import print_json, print_styled, terminal_width
from ltbench.costs import resolved
from ltbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ltbench.columns import Unit
    from ltbench.leaderboard.compare.compare import Comparison
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record


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
    from ltbench.leaderboard.compare import compare
    from ltbench.leaderboard.compare.terminal import comparison_text
    from ltbench.leaderboard.tuned_rows import shown_records

    if len(what) not in (2, 3):
        raise UsageError(
            f"compare takes two or three names, not {len(what)}",
            fix='ltbench compare SUITE OTHER_SUITE, or ltbench compare SUITE "a" "a + b"',
        )
    if len(what) == 2:
        first, second = (find_page(name, leaderboards) for name in what)
        names = (str(first.path), str(second.path))
        sides = first.records_file().records, second.records_file().records
        metric = metric or _ranked_by(first, second) or compare.default_metric([*sides[0], *sides[1]])
        comparison = compare.compare_sets(*sides, names, metric, unit=_unit(metric, first, second))
    else:
        place = find_page(what[0], leaderboards)
        records = place.records_file().records
        metric = metric or _ranked_by(place) or compare.default_metric(records)
        unit = _unit(metric, place)
        comparison = _two_cells(records, what[1], what[2], metric, unit) or compare.compare_combinations(
            shown_records(place.path, records), what[1], what[2], metric, _methods(place), unit=unit
        )
    if as_json:
        print_json(comparison)
        return
    print_styled(comparison_text(comparison, terminal_width(), cells=cells, color=sys.stdout.isatty()))


def _ranked_by(*places: RecordsLocation) -> str:
    """Return the metric by which the suites of these locations rank rows; empty if none is set or they differ."""
    from ltbench.leaderboard.publish import read_facts

    said = {read_facts(place.path).metric for place in places if place.path.is_dir()}
    return said.pop() if len(said) == 1 else ""


def _unit(metric: str, *places: RecordsLocation) -> Unit:
    """Return the unit of a metric, as a page of these locations or an installed metric declares it; else its own."""
    from ltbench.leaderboard.publish import read_facts
    from ltbench.leaderboard.statistics.ranking import ranking_column
    from ltbench.leaderboard.tables.columns import installed_columns, join_columns

    declared = join_columns(*(read_facts(place.path).columns for place in places if place.path.is_dir()))
    with contextlib.suppress(UnknownName):
        return ranking_column(metric, declared).unit
    with contextlib.suppress(UnknownName):
        return ranking_column(metric, installed_columns()).unit
    return "plain"


def _methods(place: RecordsLocation) -> dict[str, tuple[str, ...]]:
    """Return the methods that the page of a folder names."""
    from ltbench.leaderboard.publish import read_facts

    return read_facts(place.path).method_parts if place.path.is_dir() else {}


def _two_cells(records: list[Record], first: str, second: str, metric: str, unit: Unit) -> Comparison | None:
    """Return the comparison of two cells; None if the texts are not the first digits of two ids."""
    from ltbench.leaderboard.compare import compare

    cells = []
    for asked in (first, second):
        matches = [record for record in records if len(asked) >= 4 and record.id.startswith(asked.lower())]
        if len(matches) != 1:
            return None
        cells += matches
    return compare.compare_cells(cells[0], cells[1], metric, unit=unit)
