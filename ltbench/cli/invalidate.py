"""`ltbench invalidate ID`: withdraw the numbers of a cell, with the reason."""

from __future__ import annotations

from pathlib import Path

import click

from ltbench.cli.options import leaderboards_option
from ltbench.cli.output import print_json
from ltbench.cli.paths import PathOption
from ltbench.cli.writing import writing
from ltbench.errors import UsageError


@click.command("invalidate")
@click.argument("cell", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="The reason, shown on the page.")
@click.option("--by", default="", metavar="WHO", help="Who withdraws the numbers, shown on the page.")
@click.option("--records", type=PathOption(), metavar="PATH",
              help="Withdraw only in this records file or suite's folder.  [default: every leaderboard that has the cell]")  # fmt: skip
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(cell: str, reason: str, by: str, records: Path | None, leaderboards: Path, as_json: bool) -> None:
    """Withdraw the numbers of the cell whose id begins with ID.

    Its row then has one run less, and the page shows the reason. The record stays in its file. A new record of the
    cell with other numbers counts again.
    """
    from ltbench.leaderboard import publish
    from ltbench.records import locations
    from ltbench.records.records_file import invalidate, records_file, write_records_file

    among = locations.pages(leaderboards) if records is None else [locations.location(records)]
    if any(place.kind == "store" for place in among):
        raise UsageError("a store has no pages: withdraw the cell where it is published", fix="--records FOLDER")
    found = locations.find_cell(cell, among)
    invalidation = invalidate(found.record, reason, by)
    written: list[Path] = []
    for place in found.places:
        with writing(place.path):
            before = place.records_file()
            after = records_file(before.all_records, [*before.invalidations, invalidation])
            if place.kind == "suite":
                written += publish.write_folder(place.path, publish.read_facts(place.path), after)[0]
            else:
                written.append(write_records_file(place.file, after))
    if as_json:
        print_json({"invalidation": invalidation, "written": [str(path) for path in written]})
    else:
        where = ", ".join(str(place.path) for place in found.places)
        click.echo(f"withdrawn: {found.record.id} ({found.record.label}) in {where}", err=True)
