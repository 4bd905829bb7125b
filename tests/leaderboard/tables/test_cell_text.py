"""Which columns, rows and labels of a table stand before the fold."""

from __future__ import annotations

import re

import pytest
from synthetic import boards, record

from ltbench.leaderboard.page.analysis_section import test_lines as lines_of_tests
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.cell_text import WIDEST, columns, more_columns, number_text, percent, signed
from ltbench.leaderboard.tables.markdown import table_lines
from ltbench.leaderboard.tables.rows import leading_rows
from ltbench.leaderboard.tables.short_labels import short_labels
from ltbench.leaderboard.tables.table import Table
from ltbench.records.record import Record

STACKING = "stacking[models=convnet[width=16]+convnet[width=24]]"


def names(table: Table) -> list[str]:
    return [column.name for column in columns(table)]


def at(factors: tuple[float, ...], *, seeds: int = 2, without: int = 0) -> list[Record]:
    """Return records of two rows; of the second one `without` pairs of seeds are missing."""
    return [
        record(techniques, factor, seed, {"top1": 0.5 + 0.01 * seed + 0.1 * bool(techniques)})
        for techniques in ({}, {"mix": "mixup"})
        for factor in factors
        for seed in range(seeds - without * bool(techniques))
    ]


@pytest.mark.parametrize(
    ("factors", "without", "shown"),
    [
        ((10.0, 100.0), 0, ["rank", "techniques", "mean", "Δ", "IF 10", "IF 100"]),
        ((10.0, 20.0, 50.0, 100.0), 0, ["rank", "techniques", "mean", "Δ", "IF 10", "IF 20", "IF 50", "IF 100"]),
        ((10.0, 20.0, 50.0, 100.0), 1, ["rank", "techniques", "mean", "n", "Δ", "IF 10", "IF 50", "IF 100"]),
        ((5.0, 10.0, 20.0, 50.0, 100.0), 0, ["rank", "techniques", "mean", "Δ", "IF 5", "IF 20", "IF 100"]),
    ],
)  # fmt: skip
def test_across_factors_the_lowest_the_middle_and_the_highest_one_are_always_there(
    factors: tuple[float, ...], without: int, shown: list[str]
) -> None:
    across = boards(at(factors, without=without))[0].across
    assert names(across) == shown
    assert len(shown) <= WIDEST
    others = [f"IF {factor:g}" for factor in factors if f"IF {factor:g}" not in shown]
    assert [column.name for column in more_columns(across)] == ["techniques", *others, "area"]
    assert ("the mean is over all of them" in caption(across)) == bool(others)


def test_runs_have_a_column_only_where_rows_differ_in_them() -> None:
    same, differing = (boards(at((100.0,), seeds=3, without=without))[0].tables[0] for without in (0, 1))
    assert "n" not in names(same)
    assert "over 3 pairs of seeds" in caption(same)
    assert "n" in names(differing)
    assert "over n pairs of seeds" in caption(differing)
    # Fewer than were planned, but the same for all rows.
    less = boards(at((100.0,), seeds=2), seeds=[(seed, seed) for seed in range(3)])[0].tables[0]
    assert "n" not in names(less)
    assert "over 2 of 3 pairs of seeds" in caption(less)


def test_a_column_without_a_number_is_not_before_the_fold_nor_behind_it() -> None:
    made = [record({"mix": "mixup"} if on else {}, scores={"few": None}) for on in (0, 1)]
    table = boards(made)[0].tables[0]
    assert names(table) == ["rank", "techniques", "top-1", "Δ", "many", "med.", "worst"]
    assert "few" not in [column.name for column in more_columns(table)]


def test_the_reference_says_so_in_place_of_a_difference() -> None:
    table = boards(at((100.0,)))[0].tables[0]
    delta = next(column for column in columns(table) if column.name == "Δ")
    assert delta.texts[-1] == "reference"
    assert "reference" not in delta.texts[:-1]


def many_rows() -> list[Record]:
    made = [
        record({"mix": f"mix_{i:02}"}, seed=s, scores={"top1": 0.5 + i / 1000 + (5 * i + 3 * s) % 7 / 10_000})
        for i in range(40)
        for s in (0, 1)
    ]
    return made + [record(seed=s, scores={"top1": 0.3}) for s in (0, 1)]


def test_the_reference_is_before_the_fold_wherever_it_ranks() -> None:
    made = many_rows()
    (board,) = boards(made)
    table = board.tables[0]
    assert leading_rows(table.rows, 3, "baseline") == [0, 1, 2, 40]
    assert leading_rows(table.rows, None, "baseline") == list(range(41))
    before, _, after = "\n".join(table_lines(table, {}, fold=20)).partition("<details>")
    assert before.count("| mix_") == 20
    assert "*baseline*" in before
    assert "20 more rows" in after
    assert after.count("| mix_") == 20
    assert "*baseline*" not in after
    assert "*baseline*" in "\n".join(lines_of_tests(table))
    text = leaderboard_text(SuiteFacts(name="s"), made, [board], 80, most=5)
    assert "baseline" in text.split("and 35 more rows")[0]


def test_parameters_that_all_rows_with_a_technique_share_are_said_once() -> None:
    both = {"ensemble": STACKING, "weight": "ens[reduction=mean]"}
    made = [record(one, seed=s) for one in ({}, {"ensemble": STACKING}, both) for s in (0, 1)]
    (board,) = boards(made)
    table = board.tables[0]
    assert sorted(columns(table)[1].texts) == ["baseline", "ens + stacking", "stacking"]
    assert f"Parameters left out above: ens[reduction=mean], {STACKING}." in caption(table)
    # The records, and so links, CSV and JSON, keep the whole label.
    assert {row.label for row in table.rows} == {"baseline", STACKING, f"ens[reduction=mean] + {STACKING}"}
    text = page(SuiteFacts(name="s"), made, [board])
    tables = text.partition("## Plugins")[0]
    assert not [line for line in tables.splitlines() if line.startswith("|") and "models=" in line]


@pytest.mark.parametrize(
    "others",
    [["mixup[alpha=0.2]", STACKING], [STACKING.replace("24", "32"), STACKING], ["mixup[alpha=0.2]", "mixup"]],
    ids=["only long ones", "two values", "default and value"],
)
def test_labels_keep_parameters_that_tell_rows_apart(others: list[str]) -> None:
    stages = {"stacking": "ensemble", "mixup": "mix"}
    made = [record({stages[re.split(r"\[", one)[0]]: one}) for one in others] + [record()]
    table = boards(made)[0].tables[0]
    shown = columns(table)[1].texts
    assert len(set(shown)) == len(shown)
    short = short_labels(table)
    for one in others:
        name = one.partition("[")[0]
        alone = len({other for other in others if other.partition("[")[0] == name}) == 1
        assert short.get(one, one) == (name if alone else one)


def test_short_labels_stay_as_they_are() -> None:
    table = boards([record(), record({"mix": "mixup[alpha=0.2]"})])[0].tables[0]
    assert short_labels(table) == {}


def test_two_possible_ranks_are_named_as_two() -> None:
    scores = {"": (0.60, 0.62, 0.61), "same": (0.601, 0.619, 0.612)}
    records = [
        record({"mix": name} if name else {}, 100.0, seed, {"top1": top1})
        for name, row in scores.items()
        for seed, top1 in enumerate(row)
    ]
    (board,) = boards(records)
    assert "Rank 1–2 means that place 1 or 2 is possible; more runs narrow it." in caption(board.tables[0])


@pytest.mark.parametrize("half", [0.0275, 0.8145, 0.6245, 0.7995])
def test_a_mean_that_is_a_hair_from_a_half_is_rounded_as_the_half(half: float) -> None:
    """Figures draw means that are rounded to nine digits: their labels have to be the numbers of the tables."""
    for near in (half - 2e-16, half, half + 2e-16, half - 2e-12):
        assert percent(near) == percent(round(near, 9)) == percent(half)
        assert signed(-near) == f"−{percent(half)}"
    assert number_text(half / 100 - 2e-17, "plain") == number_text(half / 100, "plain")
