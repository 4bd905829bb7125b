"""`ltbench predict`: classify images with a trained model."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ltbench.cli.options import load_registry, plugin_options
from ltbench.cli.output import print_json, print_table
from ltbench.cli.paths import PathOption
from ltbench.core.devices import devices_here
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, DONE, DataError, UsageError

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection
    from ltbench.trained_model.model import TrainedModel


class ImageResult(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of an image, most probable first, or why it could not be read."""

    file: str
    """As its path is, but for bytes that are no text"""
    labels: list[str]
    probabilities: list[float]
    error: str = ""


@click.command("predict")
@click.argument("model", type=PathOption(), metavar="MODEL")
@click.argument("images", type=PathOption(), nargs=-1, required=True, metavar="IMAGES...")
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, metavar="K",
              help="Classes per image, most probable first.")  # fmt: skip
@click.option("--calibrated", is_flag=True,
              help="Calibrate probabilities by a temperature that was fitted to held-out images.")  # fmt: skip
@click.option("--csv", "sheet", type=PathOption(dir_okay=False, allow_dash=True), metavar="FILE",
              help="Write a CSV file instead of a table; - is stdout.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, metavar="NAME",
              help="What computes: cpu, or cuda, which is faster and may change last digits.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(
    model: Path,
    images: tuple[Path, ...],
    top: int,
    calibrated: bool,
    sheet: Path | None,
    device: str,
    as_json: bool,
    choice: PluginSelection,
) -> int:
    """Classify IMAGES, files and folders with all that is below them, with a MODEL of `ltbench export-model`.

    Images are read by the rules of the data set that the model was trained on. Images that cannot be read are listed,
    the others are classified, and the command exits 1.
    """
    from ltbench.image_files.names import plain
    from ltbench.trained_model.model import TrainedModel

    if sheet is not None and as_json:
        raise UsageError("--csv and --json exclude each other", fix="give one of them")
    files = list(_files(images))
    trained = TrainedModel.load(model, load_registry(choice), devices_here(device)[0])
    if calibrated:
        trained.check_calibration()
    results = list(_results(trained, files, min(top, len(trained.classes)), calibrated=calibrated))
    broken = [one for one in results if one.error]
    if sheet is not None:
        _write_csv(results, min(top, len(trained.classes)), sheet)
    elif as_json:
        print_json(results)
    else:
        print_table(
            ["label", "probability", "file"],
            [
                (label, f"{probability:.4f}", plain(one.file) if not place else "")
                for one in results
                for place, (label, probability) in enumerate(zip(one.labels, one.probabilities, strict=True))
            ],
        )
    for one in broken:
        click.echo(f"not read: {plain(one.file)}: {one.error}", err=True)
    if broken:
        click.echo(f"{len(broken)} of {counted(len(results), 'image')} could not be read", err=True)
    return CELLS_FAILED if broken else DONE


def _files(given: Iterable[Path]) -> Iterator[Path]:
    """Yield the given files, and those images below the given folders that the data sets of folders read, by name."""
    for path in given:
        if path.is_dir():
            before = skipped = 0
            for file in _below(path):
                if file is None:
                    skipped += 1
                else:
                    before += 1
                    yield file
            if not before:
                raise UsageError(f"there are no images in {path}", fix="give image files, or a folder that has some")
            if skipped:
                click.echo(f"{path}: {skipped} other files are left out", err=True)
        elif path.is_file():
            yield path
        else:
            is_pattern = any(mark in path.name for mark in "*?[") and not path.exists()
            raise UsageError(
                f"{path} is neither a file nor a folder" if path.exists() else f"there is no {path}",
                why="patterns are expanded by the shell, if they are not quoted" if is_pattern else "",
                fix=f"give the folder {path.parent}, or the pattern without quotes"
                if is_pattern
                else "give image files and folders",
            )


def _below(folder: Path) -> Iterator[Path | None]:
    """Yield the images below a folder, each folder in the order of names; None for each other file."""
    from ltbench.image_files.decode import endings
    from ltbench.image_files.names import is_hidden

    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read", why=error.strerror or str(error)) from error
    # As data sets of folders do: links to folders are not followed, as they may be circular.
    for entry in entries:
        if is_hidden(entry.name):
            yield None
        elif entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        elif entry.is_dir() or Path(entry.name).suffix.lower() not in endings():
            yield None
        else:
            yield Path(entry.path)


def _results(model: TrainedModel, files: Sequence[Path], top: int, *, calibrated: bool) -> Iterator[ImageResult]:
    """Yield the results in the order of the files; only the pixels of one batch are in memory."""
    from ltbench.image_files.names import encodable
    from ltbench.trained_model.model import batches

    waiting: list[ImageResult] = []

    def pixels() -> Iterator[Any]:
        for file, image in zip(files, model.read_each(files), strict=True):
            error = image.why if isinstance(image, DataError) else ""
            waiting.append(ImageResult(file=encodable(str(file)), labels=[], probabilities=[], error=error))
            if not error:
                yield image

    for batch in batches(pixels()):
        found = iter(model.classified(model.probabilities(batch, calibrated=calibrated)).top(top))
        for one in waiting:
            if one.error:
                yield one
            else:
                labels, probabilities = zip(*next(found), strict=True)
                yield msgspec.structs.replace(one, labels=list(labels), probabilities=list(probabilities))
        waiting.clear()
    yield from waiting


def _write_csv(results: Sequence[ImageResult], top: int, sheet: Path) -> None:
    from ltbench.records.written_files import write_atomic

    text = "".join(map(_csv_line, _csv_rows(results, top)))
    if str(sheet) != "-":
        write_atomic(sheet, text.encode())
        click.echo(f"written: {counted(len(results), 'image')} in {sheet}", err=True)
    elif sys.stdout.isatty():
        click.echo(text, nl=False)
    else:
        # The stream of text would escape control characters in the names of files.
        click.echo(text.encode(), nl=False)


def _csv_rows(results: Iterable[ImageResult], top: int) -> Iterator[list[str]]:
    more = [name for place in range(2, top + 1) for name in (f"label_{place}", f"probability_{place}")]
    yield ["file", "label", "probability", *more, "error"]
    for one in results:
        pairs = [part for pair in zip(one.labels, map(repr, one.probabilities), strict=True) for part in pair]
        yield [one.file, *(pairs or [""] * 2 * top), one.error]


def _csv_line(row: Sequence[str]) -> str:
    line = io.StringIO()
    # A carriage return is only quoted if it is part of the end of lines.
    csv.writer(line, lineterminator="\r\n").writerow(row)
    return line.getvalue().removesuffix("\r\n") + "\n"
