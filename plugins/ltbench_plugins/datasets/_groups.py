"""Groups of images that stay together in a split, such as those of one patient, lesion or place."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ltbench.errors import DataError, ParameterError
from ltbench.image_files.names import plain

TABLES = (".csv", ".tsv")
_COLUMNS = ("path", "group")
_LISTED = 3
_AS_TEXT = "save it as CSV in UTF-8"


def pattern(groups: str) -> re.Pattern[str] | None:
    """Return `groups` as a regular expression; None if it names a table. Raises `ParameterError`."""
    if groups.lower().endswith(TABLES):
        return None
    try:
        return re.compile(groups)
    except re.error as error:
        raise ParameterError(
            f"groups = {groups!r} is not a valid regular expression: {error}",
            fix=r"groups=FILE.csv with the columns path and group, or an expression such as groups=^\w+?_",
        ) from None


def group_of_each(groups: str, files: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Return the group of each file. Raises `DataError` if a file has none.

    groups: name of a CSV or TSV table in `folder` with the columns path and group; or a regular expression that is
    searched in the path relative to `folder`: its first capture group, or else the whole match, is the group.
    """
    found = pattern(groups)
    lookup = _in_table(folder / groups) if found is None else _by_pattern(found)
    within = len(str(folder)) + 1
    named = {file: lookup(plain(str(file)[within:].replace(os.sep, "/"))) for file in files}
    if missing := [file for file, group in named.items() if not group]:
        listed = ", ".join(plain(file.relative_to(folder).as_posix()) for file in missing[:_LISTED])
        where = f"the table {groups}" if found is None else f"groups={groups}"
        raise DataError(
            f"{len(missing)} of {len(files)} images have no group by {where}: {listed}",
            where=plain(str(folder)),
            fix="add a row for each of them" if found is None else "an expression that matches every path",
        )
    return named


def _by_pattern(found: re.Pattern[str]) -> Callable[[str], str]:
    def group(path: str) -> str:
        match = found.search(path)
        return "" if match is None else (match[1] if found.groups else match[0]) or ""

    return group


def _in_table(table: Path) -> Callable[[str], str]:
    rows = _read(table)

    def group(path: str) -> str:
        name = path.rpartition("/")[2]
        # Most tables contain only the file name, often without extension.
        keys = (path, path.partition("/")[2], name, name.rpartition(".")[0])
        return next((rows[key] for key in map(_slashed, keys) if key in rows), "")

    return group


def _read(table: Path) -> dict[str, str]:
    """Return the groups of a table by path."""
    unreadable = f"the table of groups {plain(str(table))} cannot be read"
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        fix = "put it there, with the columns path and group; groups=FILE.csv is relative to the folder of the images"
        raise DataError(unreadable, why=error.strerror or "", fix=fix) from None
    except UnicodeDecodeError as error:
        raise DataError(unreadable, why=str(error), fix=_AS_TEXT) from None
    if "\0" in text:
        # UTF-16 without a byte-order mark is valid UTF-8.
        raise DataError(unreadable, why="it contains zero bytes, like text in UTF-16", fix=_AS_TEXT)
    head = text.partition("\n")[0]
    delimiter = max("\t;,", key=head.count) if table.suffix.lower() == ".csv" else "\t"
    rows: dict[str, str] = {}
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    if missing := [name for name in _COLUMNS if name not in reader.fieldnames]:
        raise DataError(
            f"the table of groups {plain(str(table))} has no column '{missing[0]}'",
            why=f"its columns are {', '.join(reader.fieldnames) or 'none'}",
            fix="name the two columns path and group",
        )
    for row in reader:
        path, group = (plain((row[name] or "").strip()) for name in _COLUMNS)
        if path and (known := rows.setdefault(_slashed(path).removeprefix("./"), group)) != group:
            raise DataError(f"the table of groups {plain(str(table))} has two groups for {path}: {known} and {group}")
    return rows


def _slashed(path: str) -> str:
    r"""Return a path with / for the \ of Windows."""
    return path.replace("\\", "/")
