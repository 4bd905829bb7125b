from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import registry_with

from ltbench import Loss
from ltbench.core.spec import label_of
from ltbench.errors import UsageError
from ltbench.records.locations import published
from ltbench.registry.notation import parse_selection
from ltbench.registry.registry import Registry


def expanded(text: str) -> list[tuple[str, dict[str, object]]]:
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
    "text",
    [
        "a[m=b[x=1]",
        "a[x=1][y=2]",
        "a,,b",
        'a[x="1]',
        'a[x="1"2]',
        r'a[x="\d"]',
        "a[x=1]]",
        "a[",
        "a]",
        "a[1]",
        "a[x=]",
        "a[=1]",
        "a b",
        "a[x=1,x=2]",
        "a[x=1]b",
    ],
)
def test_a_syntax_error_names_the_right_notation(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_selection(text)
    assert "try:" in str(error.value)


def test_an_empty_text_has_no_techniques() -> None:
    assert parse_selection("") == []


# --- texts that would be read as something else ---------------------------------------------------------------------


class Written(Loss):
    """A loss with a parameter of every kind. Source: none."""

    name = "written"
    text: str = ""
    maybe: str | None = "something"
    texts: tuple[str, ...] = ("a", "b")
    number: float = 1.0
    count: int | None = 3
    numbers: tuple[float, ...] = ()
    flag: bool = False

    def per_sample(self, logits, labels, counts):
        raise NotImplementedError


REGISTRY = registry_with(Written)
ODD = (
    "", " ", "a, b", "a]b", "[", "a=b", '"', '"a"', 'a"b', "\\", "C:\\photos\\new", "it's", "x + y", "a+b", "null", "[]", "true", "1",
    "Ünïcode ☃", "a\nb", "convnet[width=8,depth=3]", "a[b[c]]", 'a[b="c"]', "tab\there", " lead", "$HOME `ls` !x *?~#;&|<>(){}", "a%b",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
                  st.text("ab,[]=+\"' \\", max_size=8))  # fmt: skip
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TECHNIQUES = st.builds(
    Written, text=TEXTS, maybe=st.none() | TEXTS, texts=st.lists(TEXTS, max_size=3).map(tuple), number=FLOATS,
    count=st.none() | st.integers(), numbers=st.lists(FLOATS, max_size=3).map(tuple), flag=st.booleans(),
)  # fmt: skip


@given(st.lists(TECHNIQUES, min_size=1, max_size=3))
def test_every_label_is_read_as_the_technique_that_it_names(techniques: list[Written]) -> None:
    for technique in techniques:
        assert REGISTRY.parse(technique.label) == technique
        spec = json.loads(msgspec.json.encode(REGISTRY.spec(technique)))
        assert REGISTRY.build(spec) == technique
        assert label_of(spec) == technique.label
    assert REGISTRY.parse_all(",".join(technique.label for technique in techniques)) == techniques


@given(TEXTS)
def test_the_parts_of_a_combination_can_be_told_apart(text: str) -> None:
    label = Written(text=text).label
    assert f"{label} + tta".split(" + ") == [label, "tta"] or '"' in label


def test_quotes_are_needed_only_where_a_text_is_read_as_something_else() -> None:
    written = {
        text: Written(text=text).label
        for text in ("my photos", "a=b", "it's", "C:\\x", "a+b", "../Ä", "a, b", 'a"b', "x]")
    }
    assert written == {
        "my photos": "written[text=my photos]", "a=b": "written[text=a=b]", "it's": "written[text=it's]",
        "C:\\x": "written[text=C:\\x]", "a+b": "written[text=a+b]", "../Ä": "written[text=../Ä]",
        "a, b": 'written[text="a, b"]', 'a"b': r'written[text="a\"b"]', "x]": 'written[text="x]"]',
    }  # fmt: skip
    assert Written(texts=("a+b", "c")).label == 'written[texts="a+b"+c]'
    assert Written(texts=("convnet[width=8,depth=3]", "c")).label == "written[texts=convnet[width=8,depth=3]+c]"
    assert Written(texts=(), maybe=None).label == "written[maybe=null,texts=[]]"


def test_a_sweep_may_have_texts_in_quotes() -> None:
    assert [t.text for t in REGISTRY.parse_all('written[text="a, b",c,"d=e"]')] == ["a, b", "c", "d=e"]


def test_values_may_be_nested_deeper_than_once() -> None:
    assert expanded("a[m=b[c=d[x=1,y=2]],n=1]") == [("a", {"m": "b[c=d[x=1,y=2]]", "n": "1"})]


@pytest.mark.parametrize("shell", ["bash", "zsh", "sh"])
def test_a_quoted_label_comes_through_a_shell(shell: str) -> None:
    labels = [Written(text=text, texts=(text, text)).label for text in ODD]
    done = subprocess.run([shell, "-c", f"printf '%s\\0' {shlex.join(labels)}"], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == labels


def test_labels_of_committed_records_are_what_they_were(registry: Registry) -> None:
    labels = {
        label
        for page in published(Path(__file__).parents[2] / "leaderboards")
        for _, line in page.lines()
        if (raw := msgspec.json.decode(line)).get("kind") != "invalidation"
        for label in (*raw["combination"].values(), raw["setting"]["model"], raw["setting"]["dataset"])
        if label
    }
    assert len(labels) > 30
    assert {label: registry.parse(label).label for label in labels} == {label: label for label in labels}
