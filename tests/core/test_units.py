from __future__ import annotations

import pytest

from ltbench.core.units import duration, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (7, "7 B"), (999, "999 B"), (999.6, "1 kB"), (1500, "1.5 kB"), (512_300_000, "512 MB"),
     (3.2e9, "3.2 GB"), (9.996e11, "1 TB"), (1e13, "10 TB")],
)  # fmt: skip
def test_sizes_have_three_digits_and_a_unit(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.2, "0 s"), (42, "42 s"), (59.7, "1 min"), (725, "12 min 5 s"), (7200, "2 h"), (11045, "3 h 4 min"),
        (183845, "2 d 3 h"),
    ],
)  # fmt: skip
def test_durations_have_at_most_two_units(seconds, written):
    assert duration(seconds) == written
