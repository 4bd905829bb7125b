"""Encode values for an HTML file, compactly and without text that could end their element."""

from __future__ import annotations

import base64
import gzip
import re
from typing import Final

import msgspec

from ltbench.core.printable import CONTROLS

_encode = msgspec.json.Encoder(order="deterministic").encode
_ESCAPE: Final = re.compile(r"\\(u00[01][0-9a-f]|.)")
_RAW: Final = re.compile(f"(?![\x00-\x1f]){CONTROLS}")


def _printable_json(value: object) -> str:
    r"""Return JSON whose texts have no control characters but tabs and line breaks: a browser shows their escapes.

    >>> print(_printable_json("a\x1b\u202e" + chr(92) + "b\n"))
    "a\\u001b\\u202e\\b\n"
    """
    text = _encode(value).decode()
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: ("\\" if found[1] not in '"\\/nt' else "") + found[0], text)
    return _RAW.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def compressed_json(value: object) -> str:
    """Return a value as compressed JSON in base64, for the browser's DecompressionStream."""
    return compressed(_printable_json(value).encode())


def compressed(content: bytes) -> str:
    """Return compressed bytes in base64; the same text for the same bytes."""
    # Without a time in its header, gzip gives the same bytes every time.
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def script_json(value: object) -> str:
    """Return a value as JSON for a script element: without `<`, the only character that could end it."""
    return _printable_json(value).replace("<", "\\u003c")


class Pool:
    """Values that many cells share, such as an environment: stored once and referred to by number."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._numbers: dict[bytes, int] = {}

    def put(self, value: object) -> int:
        """Return the number of a value."""
        number = self._numbers.setdefault(_encode(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number
