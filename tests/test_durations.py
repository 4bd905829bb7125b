from __future__ import annotations

import pytest

from ltbench.durations import duration


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.2, "0 s"), (42, "42 s"), (59.7, "1 min"), (725, "12 min 5 s"), (7200, "2 h"), (11045, "3 h 4 min"),
        (183845, "2 d 3 h"),
    ],
)  # fmt: skip
def test_durations_are_written_as_people_do(seconds, written):
    assert duration(seconds) == written
