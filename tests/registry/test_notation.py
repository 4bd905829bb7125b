from __future__ import annotations

import pytest

from ltbench.errors import UsageError
from ltbench.registry.notation import parse_selection


def expanded(text: str) -> list[tuple[str, dict[str, str]]]:
    return [(choice.name, params) for choice in parse_selection(text) for params in choice.expanded()]


def test_names_and_parameters_are_read_in_order() -> None:
    assert expanded("b, a[x=1],c") == [("b", {}), ("a", {"x": "1"}), ("c", {})]


def test_a_sweep_is_several_techniques() -> None:
    assert expanded("focal[gamma=0.5,1,2]") == [("focal", {"gamma": g}) for g in ("0.5", "1", "2")]


def test_two_swept_parameters_are_crossed() -> None:
    assert expanded("a[x=1,2,y=3,4]") == [("a", {"x": x, "y": y}) for x in "12" for y in "34"]


def test_a_value_may_have_parameters_of_its_own() -> None:
    assert expanded("a[m=b[x=1,y=2]+c[x=3],d,z=4],e") == [
        ("a", {"m": "b[x=1,y=2]+c[x=3]", "z": "4"}), ("a", {"m": "d", "z": "4"}), ("e", {}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["a[m=b[c[x=1]]]", "a[m=b[x=1]", "a[", "a]", "a[1]", "a[x=]", "a[=1]", "a b", "a[x=1,x=2]", "a[x=1]b"]
)
def test_a_syntax_error_names_the_right_notation(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_selection(text)
    assert "try:" in str(error.value)


def test_an_empty_text_has_no_techniques() -> None:
    assert parse_selection("") == []
