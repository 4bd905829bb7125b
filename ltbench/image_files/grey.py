"""Grey of more than eight bits: recognise it and interpret its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_PHOTOMETRIC = 262
"""TIFF 6.0, section 3: 0 is "WhiteIsZero", 1 is "BlackIsZero" for grey images; there is no default."""


class Refused(Exception):
    """A file cannot be read; the message says why, `fix` what to do."""

    def __init__(
        self, why: str, fix: str = "repair or remove the file", *, white: bool = False, is_rule: bool = False
    ) -> None:
        super().__init__(why)
        self.fix = fix
        self.is_rule = is_rule or white
        """Whether the file is sound, but needs other parameters"""
        self.white = white
        """Whether the file can be read with another `white`"""


def is_number(mode: str) -> bool:
    """Return whether pixels of a Pillow mode have more than eight bits."""
    return mode == "F" or mode.startswith("I")


def white_is_zero(opened: Image) -> bool:
    """Return whether 0 is white in a file. Pillow inverts such grey itself, but only if it has 8 bits."""
    if (tags := getattr(opened, "tag_v2", None)) is None:
        return False
    if _PHOTOMETRIC not in tags:
        raise Refused("it does not say whether 0 is black or white (TIFF tag 262)", "store it as PNG, or with the tag")
    return bool(tags[_PHOTOMETRIC] == 0)


def exact(value: float) -> str:
    """Return a number with all its digits, without `.0`."""
    return str(int(value)) if value == int(value) else repr(float(value))
