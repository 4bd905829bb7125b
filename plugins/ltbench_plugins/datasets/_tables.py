"""Lists of images in files: CSV, TSV, Parquet, JSON lines, and lines of a path and a label."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ltbench.errors import DataError, nearest
from ltbench.image_files.decode import endings
from ltbench.image_files.names import listed, plain

ALIASES = {
    "image": ("path", "image_path", "img_path", "file_path", "filepath", "file", "filename", "file_name", "image", "img",
              "image_name", "image_id"),
    "label": ("label", "labels", "class", "class_name", "label_name", "category", "target", "species", "diagnosis", "dx",
              "y"),
    "split": ("split", "subset", "partition", "set"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "lesion_id", "location", "site"),
}  # fmt: skip
"""Names of columns, in the order of preference; upper case, spaces and hyphens do not matter."""
_JSON = (".jsonl", ".ndjson", ".json")
_COLUMNS = (".csv", ".tsv", *_JSON, ".parquet")
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_AS_TEXT = "save it as CSV in UTF-8"


class Row(msgspec.Struct, frozen=True):
    """A row of a list, as text; empty where the list says nothing."""

    image: str
    label: str
    split: str
    group: str


class Table(msgspec.Struct, frozen=True):
    """The rows of a list, and the columns that they are from."""

    rows: list[Row]
    columns: dict[str, str]
    """image, label, split, group -> the name of the column; without those that it lacks, empty if it has no names"""
    others: dict[str, list[str]]
    """image, label, split, group -> other columns that could be meant"""


def read_table(file: Path, named: Mapping[str, str]) -> Table:
    """Return the rows of a list of images. Raises `DataError` for one that cannot be read.

    named: image, label, split, group -> the name of the column, for those that are given.
    """
    try:
        if file.suffix.lower() == ".parquet":
            return _table(file, *_parquet(file, named), named)
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error), "put it there") from None
    except UnicodeDecodeError as error:
        raise _unreadable(file, str(error), _AS_TEXT) from None
    try:
        return _of_text(file, text, named)
    except csv.Error as error:
        raise _unreadable(file, str(error), "put values with quotes in quotes, and double these") from None


def _of_text(file: Path, text: str, named: Mapping[str, str]) -> Table:
    if "\0" in text:
        # UTF-16 without a byte-order mark is valid UTF-8.
        raise _unreadable(file, "it contains zero bytes, like text in UTF-16", _AS_TEXT)
    ending = file.suffix.lower()
    if ending in _JSON:
        return _table(file, *_json(file, text), named)
    lines = [line for line in text.split("\n") if line.strip()]  # `splitlines` also splits at rare characters of names
    head = lines[0] if lines else ""
    delimiter = max("\t;,", key=head.count)
    if ending == ".tsv":
        delimiter = "\t"
    cells = next(csv.reader([head], delimiter=delimiter), [])
    if len(cells) == 2 and delimiter in head and Path(cells[0].strip()).suffix.lower() in endings() and not named:
        pairs = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        return _pairs(file, pairs)
    if ending in _COLUMNS or named or _found(cells, "image", {}):
        return _table(file, *_csv(text, delimiter), named)
    return _pairs(file, [line.rsplit(None, 1) for line in lines])


def _csv(text: str, delimiter: str) -> tuple[list[str], Iterator[dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    reader.fieldnames = names = [name.strip() for name in reader.fieldnames or ()]
    return names, iter(reader)


def _json(file: Path, text: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the objects of JSON lines, or of one array."""
    if text.lstrip().startswith("["):
        rows = _decoded(file, text, 1)
    else:
        lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        rows = [_decoded(file, line, number) for number, line in lines]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise _unreadable(
                file, f"entry {number} is no object", '{"path": "cat/1.jpg", "label": "cat"} on each line'
            )
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _decoded(file: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(
            file, f"line {line}: {error}", "one JSON object on each line, or an array of objects"
        ) from None


def _parquet(file: Path, named: Mapping[str, str]) -> tuple[list[str], Iterator[dict[str, Any]]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise _unreadable(
            file, "pyarrow is not installed", 'pip install "ltbench[parquet]", or save it as CSV'
        ) from None
    import pyarrow as pa

    try:
        opened = pq.ParquetFile(file)
        names = opened.schema_arrow.names
        images = [name for name in names if pa.types.is_struct(opened.schema_arrow.field(name).type)]
        if images and not _found(names, "image", named).difference(images):
            raise _unreadable(file, f"its column '{images[0]}' holds images, not paths", "hf_folder[path=FOLDER]")
        flat = [name for name in names if name not in images]
        known = {name for use in ALIASES for name in _found(flat, use, named)}.intersection(flat)
        batches = [batch.to_pylist() for batch in opened.iter_batches(columns=[name for name in flat if name in known])]
        return flat, (row for batch in batches for row in batch)
    except pa.ArrowException as error:
        raise _unreadable(file, str(error).splitlines()[0], "write it again") from None


def _table(file: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]], named: Mapping[str, str]) -> Table:
    columns, others = {}, {}
    for use, aliases in ALIASES.items():
        if use in named:
            if named[use] not in names:
                near = nearest(named[use], names, n=1)
                raise DataError(
                    f"{plain(str(file))} has no column '{named[use]}'",
                    why=f"its columns are {listed(names) or 'none'}",
                    fix=f"{use}_column={near[0] if near else 'NAME'}",
                )
            columns[use] = named[use]
        elif found := [name for name in by_preference(names, use) if name not in named.values()]:
            columns[use], *others[use] = found
        elif use in {"image", "label"}:
            raise DataError(
                f"{plain(str(file))} has no column of {'paths' if use == 'image' else 'labels'} that is known by its name",
                why=f"its columns are {listed(names) or 'none'}; known names are {', '.join(aliases)}",
                fix=f"{use}_column=NAME",
            )
    used = [columns.get(use, "") for use in ALIASES]
    texts = [[_text(row.get(column), file, column) for column in used] for row in rows]
    if all(_WHOLE.fullmatch(label) for _, label, *_ in texts if label):
        # A library writes whole numbers with a point if a label is missing.
        texts = [[image, label.partition(".")[0], *rest] for image, label, *rest in texts]
    return Table(
        [Row(image, *map(plain, rest)) for image, *rest in texts],
        columns,
        {use: of for use, of in others.items() if of},
    )


def by_preference(names: Sequence[str], use: str) -> list[str]:
    """Return the columns whose name says what they are for, in the order of preference."""
    known = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in names}
    return [known[alias] for alias in ALIASES[use] if alias in known]


def _found(names: Sequence[str], use: str, named: Mapping[str, str]) -> set[str]:
    return {named[use]} if use in named else set(by_preference(names, use))


def _text(value: Any, file: Path, column: str) -> str:
    """Return a value of a column as text: whole numbers without a point, nothing for a missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, (str, int, float)):
        raise DataError(
            f"column '{column}' of {plain(str(file))} has {type(value).__name__} in place of text or numbers",
            fix="a column of paths and one of labels",
        )
    return str(value).strip()


def _pairs(file: Path, pairs: Sequence[Sequence[str]]) -> Table:
    """Return the rows of lines without names of columns."""
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2:
            raise _unreadable(
                file,
                f"entry {number} is not a path and a label: {plain(' '.join(pair))}",
                "PATH LABEL on each line; or a table with the columns path and label as .csv, .tsv, .jsonl or .parquet",
            )
    return Table([Row(path.strip(), plain(label.strip()), "", "") for path, label in pairs], {}, {})


def _unreadable(file: Path, why: str, fix: str) -> DataError:
    return DataError(f"the list {plain(str(file))} cannot be read", why=why, fix=fix)
