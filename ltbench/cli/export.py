"""`ltbench export SUITE`: all numbers as CSV, JSON or Parquet, or the predictions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import find_page, leaderboards_option, load_registry, plugin_options
from ltbench.cli.paths import PathOption
from ltbench.core.folders import store_root
from ltbench.core.words import counted
from ltbench.errors import StoreError, UsageError

if TYPE_CHECKING:
    from ltbench.leaderboard.export import Format
    from ltbench.records.locations import RecordsLocation
    from ltbench.registry.discovery import PluginSelection

_FORMATS = ("csv", "json", "parquet")


@click.command("export")
@click.argument("suite")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="[default: from the extension of FILE, else csv]")
@click.option("--output", type=PathOption(), metavar="FILE",
              help="File to write.  [default: standard output]")  # fmt: skip
@click.option("--per-class", is_flag=True, help="Include per-class numbers.")
@click.option("--predictions", is_flag=True,
              help="Export the stored logits instead, into a folder beside the records, so that `ltbench "
                   "verify` can recompute every metric. --output FOLDER: copy the records there, too.")  # fmt: skip
@click.option("--to-hub-folder", "hub_folder", type=PathOption(), metavar="FOLDER",
              help="Write a folder with numbers, leaderboard, records and a card, which a hub of data sets shows and "
                   "`datasets.load_dataset` reads.")  # fmt: skip
@click.option("--store", "store_path", type=PathOption(file_okay=False), default=store_root,
              help="Store with the predictions.  [default: $LTBENCH_STORE, else that which `ltbench cache` shows]")  # fmt: skip
@leaderboards_option
@plugin_options
@skips_bad_lines
def command(
    suite: str,
    form: Format | None,
    output: Path | None,
    per_class: bool,
    predictions: bool,
    hub_folder: Path | None,
    store_path: Path,
    leaderboards: Path,
    choice: PluginSelection,
) -> None:
    """Export the numbers of SUITE, one row per cell and metric. Columns are described in docs/data-format.md.

    SUITE is the name of a leaderboard, or the path of a suite's folder, a records file or a store. Withdrawn records
    are not exported. The file loads with pandas.read_csv(FILE), read_json(FILE) or read_parquet(FILE).
    """
    place = find_page(suite, leaderboards)
    if hub_folder is not None:
        if form is not None or per_class or predictions or output is not None:
            raise UsageError(
                "--to-hub-folder writes a folder of its own",
                fix="drop --format, --output, --per-class and --predictions",
            )
        from ltbench.leaderboard.hub_folder import write_hub_folder

        written = write_hub_folder(place, hub_folder)
        click.echo(f"written: {hub_folder}: {', '.join(path.name for path in written)}", err=True)
        return
    if predictions:
        if form is not None or per_class:
            raise UsageError(
                "--predictions copies files of the store unchanged",
                fix="drop --format and --per-class",
            )
        _bundle(place, output, store_path, choice)
        return
    from ltbench.leaderboard.export import encode_table, table_of
    from ltbench.records.written_files import write_atomic

    chosen = form or _by_name(output)
    if chosen == "parquet" and output is None:
        raise UsageError("Parquet cannot be printed to a terminal", fix="--output FILE.parquet")
    content = encode_table(table_of(place, per_class=per_class), chosen)
    if output is None:
        click.echo(content, nl=False)
        return
    write_atomic(output, content)
    click.echo(f"written: {output}", err=True)


def _by_name(output: Path | None) -> Format:
    ends: dict[str, Format] = {".json": "json", ".parquet": "parquet"}
    # A file that ends with .gz is compressed.
    return "csv" if output is None else ends.get(Path(output.name.lower().removesuffix(".gz")).suffix, "csv")


def _bundle(place: RecordsLocation, output: Path | None, store_path: Path, choice: PluginSelection) -> None:
    """Write predictions beside the records, or records and predictions into another folder."""
    from ltbench.core.atomic_files import OTHER_TARGET, os_errors_as_store_errors
    from ltbench.jobs.saved_predictions import FOLDER, export
    from ltbench.leaderboard.publish import FACTS
    from ltbench.records.locations import location
    from ltbench.records.page_sources import beside
    from ltbench.records.records_file import FILE, write_records_file
    from ltbench.store.store import Store

    if output is None and place.kind == "store":
        raise UsageError(
            "a store already contains its predictions", fix="use --output FOLDER to copy records and predictions"
        )
    source = place.records_file()
    home = place.file.parent if output is None else output
    where = location(store_path) if place.kind != "store" else place
    count, missing = export(source.records, Store(where.path), load_registry(choice), home / FOLDER)
    if not count:
        raise StoreError(
            "the store has none of the predictions of these records", where=str(where.path),
            fix="--store FOLDER, or run the suite again",
        )  # fmt: skip
    if output is not None:
        write_records_file(output / FILE, source)
        for name in (FACTS, *beside(place.path)) if place.kind == "suite" else ():
            if (place.path / name).is_file():
                with os_errors_as_store_errors(f"{name} cannot be copied", output, elsewhere=OTHER_TARGET):
                    shutil.copyfile(place.path / name, output / name)
    if missing:
        click.echo(f"the store lacks the predictions of {counted(len(missing), 'cell')}", err=True)
    click.echo(f"written: {counted(count, 'prediction')} in {home / FOLDER}", err=True)
