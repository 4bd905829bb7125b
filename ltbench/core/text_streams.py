"""Standard streams that accept every character, and print none that controls a terminal.

Characters that cannot be encoded are transliterated, and control characters become escapes, whoever prints them: names and messages
of records and plugins may have any.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

from ltbench.core.printable import printable

_SPELLED = {
    "±": "+-",
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "≈": "~",
    "≥": ">=",
    "≤": "<=",
    "Δ": "diff.",
    "…": "...",
    "→": "->",
}
_NAME = "ltbench.spelled"
_STYLE = re.compile("(\x1b\\[[0-9;]*m)")


def spell_what_cannot_be_encoded() -> None:
    """Make stdout and stderr transliterate characters that they cannot encode, instead of raising an error."""
    codecs.register_error(_NAME, _transliterated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=_NAME)


class PrintableStream(io.TextIOWrapper):
    """A text stream that writes control characters as escapes."""

    def __init__(self, original: io.TextIOWrapper) -> None:
        """original: the stream whose place it takes, and that must not be used meanwhile but by `unfiltered`."""
        # click replaces streams in ASCII, to which hardly any terminal is limited, by others in UTF-8.
        is_ascii = codecs.lookup(original.encoding).name == "ascii"
        encoding = "utf-8" if is_ascii else original.encoding
        super().__init__(original.buffer, encoding=encoding, errors=original.errors, newline="", write_through=True)
        self.original = original

    def write(self, text: str) -> int:
        """Write a text; tabs and line breaks stay."""
        return super().write(printable(text))

    def write_styled(self, text: str) -> int:
        """Write a text that may have codes for colours, which this program put there."""
        parts = _STYLE.split(text)
        return super().write("".join(part if _STYLE.fullmatch(part) else printable(part) for part in parts))


@contextlib.contextmanager
def printing_no_controls() -> Iterator[None]:
    """Have stdout and stderr write control characters as escapes in the block."""
    before = sys.stdout, sys.stderr
    filtered = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Closed streams, and those of tests that are no files, stay.
        if isinstance(stream, io.TextIOWrapper) and not stream.closed:
            stream.flush()
            filtered.append(PrintableStream(stream))
            setattr(sys, name, filtered[-1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in filtered:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
            # Otherwise the file would be closed with it.
            with contextlib.suppress(OSError, ValueError):
                stream.detach()


def unfiltered(stream: TextIO) -> TextIO:
    """Return the stream behind one that writes no control characters, for a library that draws on the terminal."""
    return stream.original if isinstance(stream, PrintableStream) else stream


def _transliterated(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII characters for those that raised the error, and the position to continue."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    if spelled := _SPELLED.get(character):
        return spelled
    # Accents are removed; other characters become question marks.
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"
