"""Names of files and folders: as text, in a pseudo-random order, and those of the system."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

_OF_THE_SYSTEM = {
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__", "thumbs.db", "desktop.ini",
}  # fmt: skip
"""Folders and files that operating systems and tools create, in lower case; some contain images."""
_LISTED = 5
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_UNICODE = re.compile("[\ud800-\udfff]")


def plain(name: str) -> str:
    """Return a file name as text in Unicode form NFC, with other bytes and control characters escaped."""
    return unicodedata.normalize("NFC", _NO_TEXT.sub(_escaped, name))


def encodable(name: str) -> str:
    """Return a file name as programs find the file by it: only bytes that are no UTF-8 are escaped."""
    return _NO_UNICODE.sub(_escaped, name)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    # Python decodes a byte that is not UTF-8 as the code 0xdc00 + byte.
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Return the names in a pseudo-random order that depends only on names and seed."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{plain(name)}".encode()).digest())


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or created by an operating system or tool."""
    return name.startswith(".") or name.lower() in _OF_THE_SYSTEM


def in_order(names: Iterable[str]) -> tuple[list[str], str]:
    """Return class names in their natural order, and what it is: by number if all are integers, else by name."""
    if all(map(_INTEGER.fullmatch, names := list(names))):
        return sorted(names, key=lambda name: (int(name), name)), "of their numbers"
    return sorted(names), "of their names"


def listed(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
