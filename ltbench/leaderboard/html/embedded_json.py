"""Values within an HTML file: compact, and such that no text of theirs can end the element that holds them."""

from __future__ import annotations

import base64
import gzip

import msgspec

_encode = msgspec.json.Encoder(order="deterministic").encode


def compressed_json(value: object) -> str:
    """Return a value as JSON, compressed, in base64: a browser has DecompressionStream to read it."""
    return compressed(_encode(value))


def compressed(content: bytes) -> str:
    """Return bytes compressed, in base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def script_json(value: object) -> str:
    """Return a value as JSON that may stand within a script element: without `<`, which alone could end it."""
    return _encode(value).decode().replace("<", "\\u003c")


class Pool:
    """Values that many cells share, such as an environment: kept once, and referred to by number."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._numbers: dict[bytes, int] = {}

    def put(self, value: object) -> int:
        """Return the number of a value."""
        number = self._numbers.setdefault(_encode(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number
