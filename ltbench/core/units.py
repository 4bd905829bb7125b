"""Formats sizes and durations with units."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Return a number of bytes with its unit, to three digits.

    >>> size_text(512), size_text(2_500_000), size_text(1.2345e11)
    ('512 B', '2.5 MB', '123 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        # Rounded first, or 999.9 kB would become "1e+03 kB".
        if float(f"{size:.3g}") < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def duration(seconds: float) -> str:
    """Return a duration in at most two units: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.

    >>> duration(200)
    '3 min 20 s'
    """
    whole = round(seconds)
    for size, name, part, part_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name} {rest} {part_name}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def big_number(number: float) -> str:
    """Return a large number in words.

    >>> big_number(12_345_678), big_number(950)
    ('12.3 million', '950')
    >>> big_number(4.2e15), big_number(4.2e18)
    ('4.2 quadrillion', '4.2e+18')
    """
    if number >= 1e18:
        return f"{number:.1e}"
    for size, name in ((1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,.0f}"
