"""Encode values for an HTML file, compactly and without text that could end their element."""

from __future__ import annotations

import base64
import gzip

import msgspec

_encode = msgspec.json.Encoder(order="deterministic").encode


def compressed_json(value: object) -> str:
    """Return a value as compressed JSON in base64, for the browser's DecompressionStream."""
    return compressed(_encode(value))


def compressed(content: bytes) -> str:
    """Return compressed bytes in base64; the same text for the same bytes."""
    # Without a time in its header, gzip gives the same bytes every time.
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def script_json(value: object) -> str:
    """Return a value as JSON for a script element: without `<`, the only character that could end it."""
    return _encode(value).decode().replace("<", "\\u003c")


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
