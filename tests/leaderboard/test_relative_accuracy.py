"""Accuracy relative to that on as many balanced images, in tables of records."""

from __future__ import annotations

import csv
import io

import pytest
from synthetic import COLUMNS, identified, raw

from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.statistics.relative_accuracy import RELATIVE
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.csv import table_csv
from ltbench.leaderboard.tables.table import Table, make_boards
from ltbench.records.record import Record

SKEWED, EVEN = [60, 25, 10, 5], [25, 25, 25, 25]
LONG_TAILED = {"": [0.40, 0.44], "mixup": [0.54, 0.66]}
BALANCED = {"": [0.70, 0.74], "mixup": [0.78, 0.82]}


def records(
    top1: dict[str, list[float]],
    profile: str,
    counts: list[int],
    held_out: list[int] | None = None,
    factor: float = 10.0,
) -> list[Record]:
    made = []
    for name, values in top1.items():
        for seed, value in enumerate(values):
            one = raw({"mix": name} if name else {}, factor, seed, {"top1": value}, classes="abcd")
            one["setting"]["profile"] = profile
            one["fits"][0]["data"]["profile"]["name"] = profile
            one["data"] |= {"counts": counts} | ({} if held_out is None else {"held_out": held_out})
            made.append(identified(one))
    return made


def table_of(made: list[Record], profile: str = "exp") -> Table:
    (board,) = [board for board in make_boards(made, (), COLUMNS) if board.profile == profile]
    return board.tables[0]


def relative(table: Table) -> dict[str, float | None]:
    found = {row.label: row.scores.get(RELATIVE) for row in table.rows}
    return {label: None if one is None else one.mean for label, one in found.items()}


def test_it_is_the_accuracy_over_the_larger_one_of_two_balanced_accuracies() -> None:
    table = table_of(records(LONG_TAILED, "exp", SKEWED) + records(BALANCED, "balanced", EVEN))
    # The baseline has 72 % with balanced images, and mixup 80 %.
    assert relative(table) == {"baseline": pytest.approx(0.42 / 0.72), "mixup": pytest.approx(0.60 / 0.80)}


def test_a_row_that_is_worse_with_balanced_images_is_taken_to_the_baseline() -> None:
    worse = BALANCED | {"mixup": [0.60, 0.64]}
    table = table_of(records(LONG_TAILED, "exp", SKEWED) + records(worse, "balanced", EVEN))
    assert relative(table)["mixup"] == pytest.approx(0.60 / 0.72)


def test_the_upper_reference_is_a_number_and_the_row_s_runs_are_its_spread() -> None:
    table = table_of(records(LONG_TAILED, "exp", SKEWED) + records(BALANCED, "balanced", EVEN))
    (row,) = [row for row in table.rows if row.label == "mixup"]
    assert row.scores[RELATIVE].sd == pytest.approx(row.scores["top1"].sd / 0.80)


def test_held_out_images_count_as_images_of_both() -> None:
    made = records(LONG_TAILED, "exp", [54, 23, 9, 5], [6, 2, 1, 0])
    assert relative(table_of(made + records(BALANCED, "balanced", [23] * 4, [2] * 4)))["baseline"]
    assert RELATIVE not in table_of(made + records(BALANCED, "balanced", [23] * 4)).rows[0].scores


@pytest.mark.parametrize(
    "others",
    [
        [],
        records(BALANCED, "balanced", [24] * 4),
        records(BALANCED, "balanced", SKEWED),
        records(BALANCED, "balanced", EVEN, factor=20.0),
    ],
    ids=["none", "fewer images", "imbalanced", "another factor"],
)
def test_without_as_many_balanced_images_there_is_no_column(others: list[Record]) -> None:
    table = table_of(records(LONG_TAILED, "exp", SKEWED) + others)
    assert RELATIVE not in {column.name for column in table.columns}
    assert relative(table) == {"baseline": None, "mixup": None}


def test_balanced_runs_have_no_relative_accuracy_themselves() -> None:
    made = records(LONG_TAILED, "exp", SKEWED) + records(BALANCED, "balanced", EVEN)
    assert RELATIVE not in {column.name for column in table_of(made, "balanced").columns}


@pytest.mark.parametrize("lacking", ["", "mixup"])
def test_a_row_whose_balanced_run_is_missing_has_no_number(lacking: str) -> None:
    some = {name: values for name, values in BALANCED.items() if name != lacking}
    table = table_of(records(LONG_TAILED, "exp", SKEWED) + records(some, "balanced", EVEN))
    known = relative(table)
    assert known["mixup"] is None
    # What the baseline reaches is its own upper reference.
    assert (known["baseline"] is None) == (lacking == "")


def test_page_and_table_show_and_explain_it() -> None:
    made = records(LONG_TAILED, "exp", SKEWED) + records(BALANCED, "balanced", EVEN)
    boards = make_boards(made, (), COLUMNS)
    text = page(SuiteFacts(name="a", title="A"), made, boards)
    assert "rel. |" in text
    assert "upper reference" in text
    lines = {(line["profile"], line["techniques"]): line for line in csv.DictReader(io.StringIO(table_csv(boards)))}
    assert lines["exp", "mixup"][RELATIVE] == "0.750000"
    assert lines["balanced", "mixup"][RELATIVE] == ""
