"""Standard streams that accept every character: characters that cannot be encoded are transliterated."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

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


def spell_what_cannot_be_encoded() -> None:
    """Make stdout and stderr transliterate characters that they cannot encode, instead of raising an error."""
    codecs.register_error(_NAME, _transliterated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=_NAME)


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
