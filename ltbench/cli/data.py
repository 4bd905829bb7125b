"""`ltbench data`: where the data sets are, which are missing, and how to get them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ltbench.cli.data_lines import report_lines
from ltbench.cli.options import data_root_option, load_registry, plugin_options
from ltbench.cli.output import print_json, print_table
from ltbench.data_report import Census, DataReport
from ltbench.errors import DataError, LtbenchError, raised

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection
    from ltbench.stages import Dataset


class Row(msgspec.Struct, kw_only=True):
    """The state of a data set on this machine."""

    name: str
    here: bool
    where: str = ""
    """Its folder or file; empty if it is missing."""
    problem: str = ""
    """Why it is missing and what to put where; empty if it is present."""
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    train_images: int | None = None
    test_images: int | None = None
    valid_images: int | None = None
    """Of its own validation split; None if it has none."""
    channels: int | None = None
    size: int | None = None
    licence: str = ""
    source: str = ""
    fingerprint: str = ""
    report: DataReport | None = None
    """What its files contain, for a data set that is described by reading them."""
    census: Census | None = None
    """What its images are like: sizes, colours, copies, unreadable files; None for a data set without such files."""
    about: str = ""


@click.command("data")
@click.argument("name", required=False)
@click.option("--download", is_flag=True, help="Download missing data sets, check them and prepare them for training.")
@click.option("--verify", is_flag=True, help="Read all prepared images, and prepare damaged ones again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_root_option
@plugin_options
def command(
    name: str | None, download: bool, verify: bool, as_json: bool, data_root: Path, choice: PluginSelection
) -> None:
    """Show where the data sets are, and which files a missing one needs.

    With NAME, show only that data set; exit with 2 if it is missing.
    """
    from ltbench.stages import Dataset

    registry = load_registry(choice)
    wanted = (
        [registry.parse(name, "dataset")] if name is not None else [kind() for kind in registry.of("dataset").values()]
    )
    datasets = [technique for technique in wanted if isinstance(technique, Dataset)]
    if download:
        from ltbench.engine.dataset_arrays import prepare

        for dataset in datasets:
            click.echo(f"{dataset.label}: preparing under {data_root}", err=True)
            dataset.fetch(data_root)
            prepare(dataset, data_root)
    if verify:
        _verify(datasets, data_root)
    rows = [examine(dataset, data_root) for dataset in datasets]
    if as_json:
        print_json(rows)
    elif not (name and not rows[0].here):
        _print(rows)
        if name and rows[0].report is not None:
            click.echo("\n" + "\n".join(report_lines(rows[0].report, rows[0].class_names, None)))
    if name and not rows[0].here:
        datasets[0].locate(data_root)
        raise DataError(rows[0].problem)


def _verify(datasets: Sequence[Dataset], root: Path) -> None:
    """Read the prepared images of data sets that are here; prepare damaged ones again."""
    from ltbench.engine.dataset_arrays import damage, prepare

    for dataset in datasets:
        try:
            found = damage(dataset, root)
        except LtbenchError:
            continue  # it is missing, as its row says
        if found is None:
            continue
        click.echo(f"{dataset.label}: {found or 'all prepared images are as they were written'}", err=True)
        if found:
            prepare(dataset, root)
            click.echo(f"{dataset.label}: prepared again", err=True)


def examine(dataset: Dataset, root: Path) -> Row:
    """Return the state of a data set under `root`; an error of its plugin is shown in its row."""
    row = Row(name=dataset.label, here=False, about=(dataset.__doc__ or "").strip().split("\n")[0])
    try:
        row.where = dataset.locate(root)
        row.here = True
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is shown in its row
        row.problem = _problem(dataset, error)
    try:
        info = dataset.info(root)
        row.classes, row.channels, row.size = len(info.classes), info.channels, info.size
        row.train_images, row.test_images = sum(info.train_counts), sum(info.test_counts)
        row.valid_images = sum(info.valid_counts) or None
        row.licence, row.source, row.fingerprint = info.licence, info.source, info.fingerprint
        row.class_names, row.report = info.classes, info.report
        row.census = dataset.census(root)
    except Exception as error:  # noqa: BLE001 - as above; a missing data set may not be able to describe itself
        row.problem = row.problem or _problem(dataset, error)
        row.here = False
    return row


def _problem(dataset: Dataset, error: Exception) -> str:
    if isinstance(error, LtbenchError):
        return str(error)
    return f"plugin of data set '{dataset.name}' raised {raised(error)}"


def _line(row: Row) -> list[object]:
    counts: list[object] = ["?" if n is None else n for n in (row.classes, row.train_images, row.test_images)]
    counts.append("-" if row.valid_images is None else row.valid_images)
    size = "?" if row.size is None else f"{row.channels} x {row.size} x {row.size}"
    state = "yes" if row.here else "no"
    return [row.name, state, *counts, size, row.licence.partition(";")[0], row.fingerprint[:12], row.where or "-"]


def _print(rows: Sequence[Row]) -> None:
    head = ["data set", "here", "classes", "training", "test", "validation", "size", "licence", "fingerprint", "where"]
    print_table(head, [_line(row) for row in rows])
    for row in rows:
        if row.problem:
            click.echo(f"\n{row.problem}")
