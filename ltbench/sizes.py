"""Sizes in bytes, in words."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Return a number of bytes as people say it, to three digits.

    >>> size_text(512), size_text(2_500_000), size_text(1.2345e11)
    ('512 B', '2.5 MB', '123 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if float(f"{size:.3g}") < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
