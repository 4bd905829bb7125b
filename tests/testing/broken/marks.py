"""What a broken technique breaks."""

from __future__ import annotations

import msgspec

BROKEN: list[tuple[type, frozenset[str]]] = []
"""Broken techniques, each with the check that has to fail: this one, and no other."""


def breaks(check: str | tuple[str, ...], sound: type[msgspec.Struct] | None = None, method: str = ""):
    """Mark a class as a technique that fails this check, or these, and no other; or make that class from a function.

    The function replaces one method of a sound technique, and gives the class its name and its docstring.
    """

    def mark(broken):
        if sound is not None:
            parts = {"name": broken.__name__, "__doc__": f"{broken.__doc__} Source: none.", method: broken}
            # A pickle finds the class under the name of the function, which it takes the place of.
            parts |= {"__module__": broken.__module__, "__qualname__": broken.__qualname__}
            broken = type(sound)(broken.__name__, (sound,), parts, frozen=True)
        BROKEN.append((broken, frozenset({check} if isinstance(check, str) else check)))
        return broken

    return mark
