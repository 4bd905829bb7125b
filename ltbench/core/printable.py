"""Text of others made visible: control characters and marks that change the direction of text become escapes."""

from __future__ import annotations

import re
from typing import Final

CONTROLS: Final = "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
"""Such characters, as a regular expression."""
_CONTROL: Final = re.compile(CONTROLS)
_BUT_LINES: Final = re.compile(_CONTROL.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
LONGEST: Final = 2_000
"""Most characters of a message of somebody's code that are printed."""


def has_controls(text: str) -> bool:
    """Whether a text has such characters, line breaks included."""
    return _CONTROL.search(text) is not None


def printable(text: str, *, lines: bool = True) -> str:
    r"""Return a text without such characters. lines: whether line breaks and tabs stay.

    >>> printable("\x1b[31mred\nline"), printable("a\nb", lines=False)
    ('\\x1b[31mred\nline', 'a\\nb')
    """
    return (_BUT_LINES if lines else _CONTROL).sub(_escaped, text)


def encodable(text: str) -> str:
    r"""Return a text that JSON can hold: halves of characters, which UTF-8 lacks, become escapes.

    >>> encodable("a\ud800")
    'a\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def shortened(text: str, rest: str, most: int = LONGEST) -> str:
    """Return a text, or its beginning and where the rest is, in `most` characters.

    >>> shortened("a" * 50, "in the log", 40)
    'aaaaa... (45 more characters in the log)'
    """
    if len(text) <= most:
        return text
    kept = most - len(f"... ({len(text):,} more characters {rest})")
    return f"{text[:kept]}... ({len(text) - kept:,} more characters {rest})"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
