"""Standard streams that take every character: one that their encoding lacks is spelled with others."""

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
    """Have stdout and stderr of this process spell what they cannot encode, instead of raising after hours of work."""
    codecs.register_error(_NAME, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=_NAME)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Return characters that every encoding has in place of those that raised the error, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    if spelled := _SPELLED.get(character):
        return spelled
    # Letters lose their accents, and what has no plain form is a question mark.
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"
