"""Generated parts of files: lines between markers, and the diff of outdated ones."""

from __future__ import annotations

import difflib
import gzip
import os
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ltbench.core import compressed_file
from ltbench.errors import UsageError

_DIFF_LINES = 60


def splice(text: str, kind: str, block: Callable[[str], Sequence[str] | None], where: str) -> str:
    """Return the text with the lines between each pair of markers replaced by `block(name)`, unless that is None.

    Markers are lines: `<!-- ltbench:KIND NAME -->` (NAME if there are several) and `<!-- /ltbench:KIND -->`.
    Raises `UsageError` naming `where` and the line of a marker without counterpart.
    """
    opening = re.compile(rf"<!-- ltbench:{kind}(?: (\S+))? -->\s*")
    closing = re.compile(rf"<!-- /ltbench:{kind} -->\s*")
    lines: list[str] = []
    opened: tuple[int, str] | None = None
    new_lines: Sequence[str] | None = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        start, end = opening.fullmatch(line), closing.fullmatch(line)
        if (start and opened) or (end and not opened):
            raise _unpaired(kind, where, number, line)
        if start:
            opened = (number, line)
            new_lines = block(start[1] or "")
            lines += [line, *(f"{new}\n" for new in new_lines or ())]
        elif end:
            opened = None
        if start is None and (opened is None or new_lines is None):
            lines.append(line)
    if opened:
        raise _unpaired(kind, where, *opened)
    return "".join(lines)


def _unpaired(kind: str, where: str, number: int, line: str) -> UsageError:
    return UsageError(
        f"marker '{line.strip()}' has no counterpart",
        where=f"{where}, line {number}",
        fix=f"<!-- ltbench:{kind} NAME --> ... <!-- /ltbench:{kind} -->, each on a separate line",
    )


def read_text(path: Path) -> str:
    """Return the text of a file with its line ends; empty if there is no file, or none that can be decompressed."""
    if not path.is_file():
        return ""
    try:
        # Reading as text would normalise the line ends and hide a difference.
        return compressed_file.read(path).decode("utf-8", errors="replace")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return ""


def diff_text(stale: Sequence[tuple[Path, str | None]]) -> str:
    """Return a diff of outdated files. stale: paths with their correct text; None for a file to be removed."""
    # A diff of drawing commands is useless to a reader.
    figures = [path for path, _ in stale if path.suffix == ".svg"]
    lines = [f"{display_path(path)} is outdated or no longer used" for path in figures]
    lines += [
        line
        for path, text in stale
        if path not in figures and text is not None
        for line in difflib.unified_diff(
            read_text(path).splitlines(), text.splitlines(), f"{display_path(path)} (as it is)", f"{display_path(path)} (as it should be)",
            lineterm="", n=1,
        )
    ]  # fmt: skip
    rest = [f"... {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return "\n".join([*lines[:_DIFF_LINES], *rest])


def display_path(path: Path) -> str:
    """Return a path relative to the current folder, or an absolute path if it is outside.

    Pages contain such paths, and a path that begins with `..` is useless in another folder.
    """
    shown = os.path.relpath(path) if path.is_absolute() else str(path)
    return os.path.abspath(path) if Path(shown).parts[:1] == ("..",) else shown  # noqa: PTH100 - links are kept
