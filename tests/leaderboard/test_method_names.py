from __future__ import annotations

import msgspec
import pytest
from synthetic import COLUMNS, publish, record

from ltbench.errors import UnknownName
from ltbench.leaderboard.compare.compare import compare_combinations
from ltbench.leaderboard.figures.shown import ShownOnPage
from ltbench.leaderboard.method_names import methods_used, with_method_names
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.publish import load, render
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.table import make_boards
from ltbench.records.record import Record

METHODS = {"ldam_drw": ("ldam", "ens", "drw"), "ce_drw": ("ens", "drw"), "cb_focal": ("sigmoid_focal", "ens")}
ROWS = [
    {}, {"loss": "ldam"}, {"weight": "ens", "regime": "drw"}, {"loss": "ldam", "weight": "ens", "regime": "drw"},
    {"mix": "mixup", "loss": "ldam", "weight": "ens", "regime": "drw", "view": "tta"},
]  # fmt: skip


def records() -> list[Record]:
    return [
        record(row, seed=seed, scores={"top1": 0.5 + 0.05 * number + 0.003 * ((7 * number + seed) % 3)})
        for number, row in enumerate(ROWS)
        for seed in range(3)
    ]


def test_parts_are_replaced_where_all_of_them_are_there() -> None:
    assert with_method_names(["mixup", "ldam", "ens", "drw", "tta"], METHODS) == ["mixup", "ldam_drw", "tta"]
    assert with_method_names(["ens", "drw"], METHODS) == ["ce_drw"]
    assert with_method_names(["ldam", "ens"], METHODS) == ["ldam", "ens"]
    assert with_method_names([], METHODS) == []
    assert methods_used([["ldam", "ens", "drw"], ["tta"]], METHODS) == ["ldam_drw"]


def test_a_page_names_rows_by_their_methods_and_says_what_these_are() -> None:
    made = records()
    facts = SuiteFacts(name="s", methods=METHODS)
    boards = make_boards(made, (), COLUMNS, (), "", METHODS)
    text = page(facts, made, boards)
    assert "| mixup + ldam_drw + tta " in text
    assert "| ldam_drw " in text
    assert "| ce_drw " in text
    assert "The best row is mixup + ldam_drw + tta" in text.replace("\u00a0", " ")
    assert "ce_drw is ens + drw. ldam_drw is ldam + ens + drw." in text
    # Only methods that name a row are explained.
    assert "cb_focal" not in text
    plain = page(SuiteFacts(name="s"), made, make_boards(made, (), COLUMNS))
    assert "ldam_drw" not in plain
    names = ShownOnPage(facts, group_records(made), boards).names
    assert names["ldam + ens + drw"] == "ldam_drw"


def test_the_csv_knows_the_parts_only(tmp_path) -> None:
    publish(tmp_path / "s", SuiteFacts(name="s", methods=METHODS), records())
    loaded = load(tmp_path / "s")
    texts = {path.name: text for path, text in render(loaded).items()}
    assert "ldam_drw" in texts["README.md"]
    assert "ldam_drw" not in texts["table.csv"]
    assert "ldam_drw" not in texts["effects.csv"]
    assert b"methods" not in msgspec.json.encode(SuiteFacts(name="s"))


def test_rows_are_compared_by_the_name_of_a_method() -> None:
    found = compare_combinations(records(), "ldam_drw", "ce_drw", "top1", METHODS)
    assert found.names == ("ldam + ens + drw", "ens + drw")
    both = compare_combinations(records(), "mixup + ldam_drw + tta", "baseline", "top1", METHODS)
    assert both.names[0] == "mixup + ldam + ens + drw + tta"
    with pytest.raises(UnknownName):
        compare_combinations(records(), "cb_focal", "baseline", "top1", METHODS)
