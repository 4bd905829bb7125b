"""Standard streams that accept every character, and print none that controls a terminal.

Characters that cannot be encoded are transliterated, and control characters become escapes, whoever prints them: names and messages
of records and plugins may have any.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
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
_DRAWN = re.compile("(\r|\x1b\\[A)")
"""What progress bars draw with: back to the beginning of a line, and up a line."""


def spell_what_cannot_be_encoded() -> None:
    """Make stdout and stderr transliterate characters that they cannot encode, instead of raising an error."""
    codecs.register_error(_NAME, _transliterated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=_NAME)


def open_standard_streams() -> None:
    """Have files in the places of standard streams that are closed, or the next file that is opened would get what is printed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


class PrintableStream(io.TextIOWrapper):
    """A text stream that writes control characters as escapes."""

    def __init__(self, original: io.TextIOWrapper) -> None:
        """original: the stream whose place it takes, and that must not be used meanwhile but by `unfiltered`."""
        # click replaces streams in ASCII, to which hardly any terminal is limited, by others in UTF-8.
        is_ascii = codecs.lookup(original.encoding).name == "ascii"
        encoding = "utf-8" if is_ascii else original.encoding
        super().__init__(original.buffer, encoding=encoding, errors=original.errors, newline="", write_through=True)
        self.original = original
        self.is_drawn_on = False

    def write(self, text: str) -> int:
        """Write a text; tabs and line breaks stay."""
        return self._write_but(_DRAWN, text) if self.is_drawn_on else super().write(printable(text))

    def write_styled(self, text: str) -> int:
        """Write a text that may have codes for colours, which this program put there."""
        return self._write_but(_STYLE, text)

    def _write_but(self, kept: re.Pattern[str], text: str) -> int:
        return super().write("".join(part if kept.fullmatch(part) else printable(part) for part in kept.split(text)))


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


@contextlib.contextmanager
def with_progress_bars() -> Iterator[None]:
    """Have stderr show progress bars in the block, of a library that draws them as tqdm does."""
    stream = sys.stderr
    if not isinstance(stream, PrintableStream):
        yield
        return
    stream.is_drawn_on, before = True, stream.is_drawn_on
    try:
        yield
    finally:
        stream.is_drawn_on = before


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
