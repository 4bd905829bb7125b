"""Published numbers beside measured rows: where they stand, and that they count nowhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import pytest
from reports import loaded
from synthetic import COLUMNS, record

from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.csv import table_csv
from ltbench.leaderboard.tables.published_rows import published_rows
from ltbench.leaderboard.tables.table import Table
from ltbench.records.record import Record
from ltbench.suite.published import Reported

LEVELS = {"": (0.50, 0.52, 0.54), "mixup": (0.60, 0.63, 0.65)}


def records(factors: tuple[float, ...] = (10.0, 100.0), epochs: int = 20) -> list[Record]:
    return [
        record({"mix": name} if name else {}, factor, seed, {"top1": top1}, epochs=epochs)
        for name, values in LEVELS.items()
        for seed, top1 in enumerate(values)
        for factor in factors
    ]


def number(value: float = 0.9, factor: float = 100.0, **changes: object) -> Reported:
    given = {"source": "Table 1", "techniques": ("mixup",), "imbalance_factor": factor, "value": value}
    return Reported(**given | changes)


def tables(reported: Sequence[Reported], made: Sequence[Record] | None = None) -> list[Table]:
    facts = SuiteFacts(name="s", reported=tuple(reported), columns=COLUMNS)
    return [table for board in loaded(made or records(), facts).boards for table in board.all_tables]


def shown(reported: Sequence[Reported], made: Sequence[Record] | None = None) -> list[list[dict[str, float]]]:
    return [[one.numbers for one in table.published] for table in tables(reported, made)]


def test_a_number_is_a_row_of_the_table_of_its_factor_and_of_the_one_across() -> None:
    at_ten, at_hundred, across = tables([number(0.9), number(0.8, metric="few", note="read off a plot")])
    assert at_ten.published == ()
    (one,) = at_hundred.published
    assert (one.label, one.source, one.measured) == ("mixup", "Table 1", True)
    assert (one.numbers, one.notes) == ({"top1": 0.9, "few": 0.8}, {"few": "read off a plot"})
    assert [row.numbers for row in across.published] == [{"top1@100": 0.9}]


def test_the_mean_over_factors_takes_all_of_them() -> None:
    both = [number(0.9), number(0.8, factor=10.0)]
    assert shown(both)[-1] == [{"top1@10": 0.8, "top1@100": 0.9, "top1": pytest.approx(0.85)}]
    # A report may have a table for each factor: one row, which names them.
    other = [both[0], msgspec.structs.replace(both[1], source="Table 2")]
    assert shown(other)[-1] == shown(both)[-1]
    assert [one.source for one in tables(other)[-1].published] == ["Table 1, Table 2"]
    # A place that has all factors is not mixed with another, and neither are two numbers of one factor.
    assert shown([number(0.7, source="Fig. 1"), *both])[-1] == [{"top1@100": 0.7}, *shown(both)[-1]]
    assert shown([number(0.7, source="Fig. 1"), both[0]])[-1] == [{"top1@100": 0.7}, {"top1@100": 0.9}]
    assert shown([number(0.9), number(0.8, factor=10.0, techniques=())])[-1] == [{"top1@100": 0.9}, {"top1@10": 0.8}]
    # A factor that was not run has no column, and says nothing of the mean of those that were.
    assert shown([*both, number(0.1, factor=500.0)])[-1] == shown(both)[-1]


def test_other_settings_and_scores_without_a_column_are_left_out() -> None:
    assert shown([number(dataset="cifar10"), number(model="resnet32"), number(metric="unheard_of")]) == [[], [], []]
    longer = [*records(), *records(epochs=40)]
    found = shown([number(recipe={"epochs": 40})], longer)
    assert [len(rows) for rows in found] == [0, 0, 0, 0, 1, 1]


def test_two_numbers_of_one_cell_are_two_rows() -> None:
    assert shown([number(0.9), number(0.91), number(0.92, source="Fig. 3")])[1] == [
        {"top1": 0.9},
        {"top1": 0.91},
        {"top1": 0.92},
    ]


def test_the_function_takes_a_group_of_records_as_well_as_a_board() -> None:
    table = tables([])[1]
    (group,) = group_records(records())
    assert [one.numbers for one in published_rows(table, [number()], group)] == [{"top1": 0.9}]


@pytest.mark.parametrize("techniques", [("mixup",), (), ("focal", "mixup")], ids=["measured", "baseline", "not run"])
def test_published_numbers_change_nothing_that_is_measured(techniques: tuple[str, ...]) -> None:
    with_it, without = tables([number(0.99, techniques=techniques)]), tables([])
    for mine, plain in zip(with_it, without, strict=True):
        assert msgspec.structs.replace(mine, published=()) == plain
    facts = SuiteFacts(name="s", reported=(number(0.99, techniques=techniques),), columns=COLUMNS)
    some, none = loaded(records(), facts), loaded(records(), msgspec.structs.replace(facts, reported=()))
    assert table_csv(some.boards) == table_csv(none.boards)
    numbers = [report_content(each).core["boards"][0]["tables"] for each in (some, none)]
    for mine, plain in zip(*numbers, strict=True):
        assert msgspec.structs.replace(mine, published=[], caption=plain.caption) == plain


def rows_of(text: str) -> list[list[str]]:
    """Return the rows of the first table."""
    start = re.search(r"^\| +rank", text, re.MULTILINE)
    assert start is not None
    lines = text[start.start() :].split("\n\n", 1)[0].splitlines()
    return [[re.sub(r"[\xa0\u2060]", " ", cell).strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def page_of(reported: Sequence[Reported], made: Sequence[Record]) -> str:
    facts = SuiteFacts(name="s", reported=tuple(reported), columns=COLUMNS)
    folder = loaded(made, facts)
    return page(facts, folder.records, folder.boards)


def test_on_a_page_they_stand_below_the_measured_row_in_small_italics_without_rank_and_difference() -> None:
    made = records(factors=(100.0,))
    reported = [number(0.99), number(0.98, techniques=("focal",), note="by eye")]
    text = page_of(reported, made)
    rows = rows_of(text)
    assert [row[1] for row in rows] == [
        "mixup",
        "<sub>↳ *reported, Table 1*</sub>",
        "*baseline*",
        "<sub>focal: *reported, Table 1*</sub> <sup>1</sup>",
    ]
    assert [rows[1][0], *rows[1][2:]] == ["<sub>*–*</sub>", "<sub>*99.0*</sub>", "", "", "", "", ""]
    assert rows[0][2].startswith("**62.7**")
    assert "- <sup>1</sup> by eye" in text
    assert "published numbers, not run here" in text
    assert "Numbers that no table has" not in text
    assert "*reported, " not in page_of([], made)


def test_in_a_terminal_they_are_dim_below_the_measured_row() -> None:
    facts = SuiteFacts(name="s", reported=(number(0.99, source="Table 12 of the appendix"),), columns=COLUMNS)
    folder = loaded(records(factors=(100.0,)), facts)
    for width in (60, 80, 120):
        text = leaderboard_text(facts, folder.records, folder.boards, width)
        assert max(map(len, text.splitlines())) <= width
        lines = [line for line in text.splitlines() if line.strip()]
        place = next(i for i, line in enumerate(lines) if "reported, Table" in line)
        assert lines[place - 1].split()[1] == "mixup"
        assert lines[place].split()[0] == "–"
        assert "99.0" in lines[place]
    coloured = leaderboard_text(facts, folder.records, folder.boards, 80, color=True)
    assert re.search(r"\x1b\[2;3m *reported, Table", coloured)
