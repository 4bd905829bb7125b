"""What a command looks at once."""

from __future__ import annotations

import pytest

from ltbench.core.one_look import looked_once, one_look


def test_within_a_command_each_thing_is_looked_at_once() -> None:
    looks: list[str] = []

    def look(name: str) -> int:
        return looked_once(name, lambda: looks.append(name) or len(looks))

    assert [look("a"), look("a")] == [1, 2]  # outside, every time
    with one_look():
        assert [look("a"), look("b"), look("a")] == [3, 4, 3]
    with one_look():
        assert look("a") == 5


def test_what_could_not_be_seen_is_looked_at_again() -> None:
    with one_look():
        with pytest.raises(ZeroDivisionError):
            looked_once("a", lambda: 1 // 0)
        assert looked_once("a", lambda: 7) == 7
