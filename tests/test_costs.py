from __future__ import annotations

import itertools
import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import synthetic

from ltbench.confusion import Confusion
from ltbench.costs import check_costs, cost_rules, is_cost, mean_cost, read_costs, resolved, words
from ltbench.errors import UnknownName, UsageError
from ltbench_plugins.metrics.balanced_accuracy import BalancedAccuracy
from ltbench_plugins.metrics.classification import Classification

PETS = ("cat", "dog", "a fish")
FILE = "class,dog,cat,a fish\ncat,5,0,1\ndog,,1,1\n a fish ,2,2,0\n"


def cost_matrix(costs: str, classes: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, cost_rules(costs, classes).matrix().tolist()))


def test_parts_name_pairs_rows_columns_and_all_and_later_ones_count_more() -> None:
    assert cost_matrix("cat>dog:5", PETS) == ((0, 5, 1), (1, 0, 1), (1, 1, 0))
    assert cost_matrix("*>*:3+*>cat:2+cat>*:4", PETS) == ((0, 4, 4), (2, 0, 3), (2, 3, 0))
    assert cost_matrix("cat|dog>cat|dog:7+dog>dog:-1", PETS) == ((0, 7, 1), (7, -1, 1), (1, 1, 0))


def test_a_file_is_the_same_costs_whatever_its_form_and_the_order_of_its_classes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(FILE)
    rows = {"a fish": {"cat": 2, "dog": 2}, "dog": {"cat": 1, "a fish": 1}, "cat": {"a fish": 1, "dog": 5}}
    (tmp_path / "b.JSON").write_text(json.dumps(rows))
    (tmp_path / "c.csv").write_text(FILE.replace(",", ";"), encoding="utf-8-sig")
    (tmp_path / "d.csv").write_text(FILE.replace(",", "\t"))
    found = {read_costs(str(tmp_path / name)) for name in ("a.csv", "b.JSON", "c.csv", "d.csv")}
    assert found == {"*>*:none+cat|dog>*:1+a fish>*:2+cat>dog:5"}
    assert cost_matrix(found.pop(), PETS) == ((0, 5, 1), (1, 0, 1), (2, 2, 0))


@pytest.mark.parametrize(
    "names", [("10", "2"), (" a ", "b  c"), ("a+b", "c:d"), ("a>b", "c|d"), ("x, y", '"z"'), ("100 %", "a]b[c"), ("größe", "猫@home"), ("*a", "b")]
)  # fmt: skip
def test_odd_names_come_through(tmp_path: Path, names: tuple[str, str]) -> None:
    one, two = names
    (tmp_path / "c.json").write_text(json.dumps({one: {two: 3}, two: {one: 0.25, two: -1}}))
    name = resolved(f"expected_cost[costs={tmp_path / 'c.json'}]")
    assert resolved(name) == name
    assert "," not in name
    assert mean_cost(Confusion.of_rows([[0, 1], [0, 0]]), names, name) == 3
    assert mean_cost(Confusion.of_rows([[0, 0], [1, 1]]), names, name) == (0.25 - 1) / 2
    from ltbench.registry.notation import parse_selection

    (parsed,) = parse_selection(name)
    assert parsed.params["costs"] == (name.removeprefix("expected_cost[costs=").removesuffix("]"),)


def test_classes_that_do_not_fit_are_an_error_with_the_nearest_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown class 'dogg'") as caught:
        check_costs("expected_cost[costs=cat>dogg:5]", PETS, "pets")
    assert "dog" in caught.value.fix
    assert caught.value.where.startswith("pets")
    (tmp_path / "a.csv").write_text(FILE)
    with pytest.raises(UsageError, match="say nothing of 'horse' taken for 'cat'"):
        check_costs(resolved(f"expected_cost[costs={tmp_path / 'a.csv'}]"), (*PETS, "horse"))
    check_costs("top1", PETS)


@pytest.mark.parametrize(
    "text",
    ["cat", "cat>dog", "cat>dog:", "cat:5", "a>b>c:1", ">b:1", "a|>b:1", "cat>dog:x", "cat>dog:nan", "cat>dog:inf",
     "cat>dog:none", "*|a>b:1", "+"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_costs(text)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"), ("c,a,b\na,0,1\n", "say nothing of 'b'"), ("c,a,b\na,0\nb,1,0\n", "1 costs for 2"),
        ("c,a,a\na,0,1\nb,1,0\n", "there twice"), ("c,a,b\na,0,1\na,0,1\n", "there twice"), ("c,a,b\na,0,x\nb,1,0\n", "x"),
        ("c,a,b\na,0,nan\nb,1,0\n", "not finite"), ("c,*,b\n*,0,1\nb,1,0\n", "two classes"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_matrix_says_why(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(UsageError) as caught:
        read_costs(str(tmp_path / "c.csv"))
    assert why in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_costs(str(tmp_path / "none.csv"))


def test_a_file_of_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot be read"):
        read_costs(str(tmp_path / "c.json"))


def test_if_every_error_costs_1_the_expected_cost_is_the_share_of_errors() -> None:
    probabilities, labels, counts = _predictions()
    numbers = Classification().compute(probabilities, labels, counts)
    found = mean_cost(numbers["confusion"], tuple("abcd"), "expected_cost[costs=*>*:1]")
    assert found == pytest.approx(1 - numbers["top1"], abs=1e-15)
    # By hand: each image pays what its decision costs.
    costs = cost_matrix("a>*:4+b>c:0.5", tuple("abcd"))
    paid = [costs[t][p] for t, p in zip(labels, probabilities.argmax(axis=1), strict=True)]
    assert mean_cost(numbers["confusion"], tuple("abcd"), "expected_cost[costs=a>*:4+b>c:0.5]") == pytest.approx(
        sum(paid) / len(paid)
    )
    assert mean_cost(Confusion.of([], [], 2), ("a", "b"), "expected_cost[costs=*>*:1]") is None
    # Of balanced classes it is what is missing to balanced accuracy.
    balanced = mean_cost(numbers["confusion"], tuple("abcd"), "balanced_expected_cost[costs=*>*:1]")
    assert balanced == pytest.approx(1 - BalancedAccuracy().compute(probabilities, labels, counts)["balanced_accuracy"])
    # A class without images has no cost.
    assert mean_cost(Confusion.of_rows([[3, 1], [0, 0]]), ("a", "b"), "balanced_expected_cost[costs=a>b:4]") == 1


def _predictions():
    import numpy as np

    rng = np.random.default_rng(4)
    return rng.dirichlet(np.ones(4), 200), rng.integers(4, size=200), np.array([40, 20, 10, 5])


def test_a_record_has_the_cost_by_any_matrix_and_none_without_a_confusion_matrix() -> None:
    confusion = [[8, 2], [1, 9]]
    record = synthetic.record(classes=("cat", "dog"), confusion=confusion)
    assert record.score("expected_cost[costs=cat>dog:5]") == (2 * 5 + 1) / 20
    assert record.score("expected_cost[costs=dog>cat:10]") == (2 + 10) / 20
    assert record.score("held_out.expected_cost[costs=cat>dog:5]") is None
    assert synthetic.record(classes=("cat", "dog")).score("expected_cost[costs=cat>dog:5]") is None
    assert is_cost("held_out.expected_cost[costs=cat>dog:5]")
    assert not is_cost("top1")
    assert "costs" not in json.loads(json.dumps(synthetic.raw()))


def test_costs_are_said_in_words() -> None:
    assert words("cat>dog:5+*>cat:2") == "cat taken for dog costs 5, anything taken for cat costs 2, any other error 1"
    assert words("*>*:none+cat|dog|a%20fish>*:1+cow>*:5") == "any error with cow costs 5, any other error 1"


def test_numbers_keep_their_value() -> None:
    for cost in (1e20, 1e-7, 0.1, 1 / 3, 123456.789, -2.0, math.pi):
        text = read_costs(f"a>b:{cost!r}".replace("e+", "e"))
        assert cost_matrix(text, ("a", "b"))[0][1] == cost
        assert len(list(itertools.takewhile(lambda part: part, text.split("+")))) == 1


def test_expected_costs_of_thousands_of_classes_need_no_matrix() -> None:
    """A matrix of these would have 1.2 GB; the largest block has 0.1 GB, and a probability is spread by hand."""
    count = 12_000
    rules = cost_rules("*>*:2+7>*:3+*>9:5+7>9:11+7>7:-1", tuple(map(str, range(count))))
    probabilities = np.zeros((2, count))
    probabilities[0, [7, 8]] = 0.25, 0.75
    probabilities[1, -1] = 1
    tracemalloc.start()
    found, largest = rules.expected(probabilities), rules.largest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest == 11
    assert peak < 400 * 2**20
    assert found[0, [7, 8, 9, 10]].tolist() == [
        0.25 * -1 + 0.75 * 2,
        0.25 * 3,
        0.25 * 11 + 0.75 * 5,
        0.25 * 3 + 0.75 * 2,
    ]
    assert found[1, [7, 9, count - 1]].tolist() == [2, 5, 0]
