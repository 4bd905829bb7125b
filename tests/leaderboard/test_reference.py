"""A suite's reference row, on every surface that shows a difference."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest
from reports import loaded
from support import suite_source
from synthetic import COLUMNS, publish, record

from ltbench.errors import LtbenchError
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.shown import ShownOnPage
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.html.document import document
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.readme_block import compact_block
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import columns, delta_title
from ltbench.leaderboard.tables.csv import table_csv
from ltbench.leaderboard.tables.table import Board, make_boards
from ltbench.planning.combinations import LeftOut, suite_combinations
from ltbench.records.record import Record
from ltbench.registry.registry import Registry
from ltbench.suite.suite import read_suite

FACTS = SuiteFacts(name="a", title="A", reference=("mixup",))
LEVELS = {"": [0.50, 0.52, 0.54], "mixup": [0.60, 0.625, 0.65], "mixup + tta": [0.70, 0.72, 0.75], "tta": [0.40, 0.42, 0.43]}  # fmt: skip
STAGES = {"mixup": "mix", "tta": "view"}


def records(without: str | None = None, factors: tuple[float, ...] = (10.0, 100.0)) -> list[Record]:
    return [
        record({STAGES[name]: name for name in label.split(" + ") if name}, factor, seed, {"top1": top1})
        for label, values in LEVELS.items() if label != without
        for seed, top1 in enumerate(values)
        for factor in factors
    ]  # fmt: skip


def boards(made: list[Record], facts: SuiteFacts = FACTS) -> list[Board]:
    return make_boards(made, (), COLUMNS, facts.reference)


def test_differences_and_tests_are_taken_to_the_reference_in_every_table() -> None:
    (board,) = boards(records())
    for table in board.all_tables:
        rows = {row.label: row for row in table.rows}
        assert table.reference == "mixup"
        assert rows["mixup"].delta is None
        # 10.0, 9.5 and 10.0 points.
        assert rows["mixup + tta"].delta.mean == pytest.approx(0.295 / 3)
        assert rows["baseline"].delta.mean == pytest.approx(-0.315 / 3)
        assert all(row.p is not None and row.p < 0.05 for label, row in rows.items() if label != "mixup")


def test_the_order_of_a_reference_does_not_matter() -> None:
    (board,) = make_boards(records(), (), COLUMNS, ("tta", "mixup"))
    assert board.tables[0].reference == "mixup + tta"
    assert next(row for row in board.tables[0].rows if row.label == "mixup + tta").delta is None


def test_a_table_without_its_reference_has_no_differences_and_names_it() -> None:
    made = records(without="mixup")
    table = boards(made)[0].tables[0]
    assert table.reference == "mixup"
    assert [row.delta for row in table.rows] == [None] * 3
    assert "There are no differences to mixup, which has no row here." in page(FACTS, made, boards(made))
    assert "There are no differences" not in page(FACTS, records(), boards(records()))
    assert report_content(loaded(made, facts=FACTS)).core["reference"] == {"combination": None, "text": "mixup"}


def test_page_readme_terminal_and_csv_name_the_reference() -> None:
    made = records()
    text = page(FACTS, made, boards(made)).replace("\u00a0", " ")
    assert "**Δ** is the difference to mixup with its interval" in text
    assert "Δ mixup |" in text
    assert "Tests against mixup and against the best row" in text
    assert "difference to the baseline, run" not in text
    block = "\n".join(compact_block(boards(made), {}, "page")).replace("\u00a0", " ")
    assert r"Δ is the difference to mixup, \* where" in block
    assert "Δ mixup" in block
    shown = leaderboard_text(FACTS, made, boards(made), 120, most=1)
    assert "Δ is the difference to mixup, *" in " ".join(shown.split())
    # Besides the best row, a short table shows the reference.
    assert [line.split()[1] for line in shown.splitlines() if line.split()[:1] in (["1"], ["2"])].count("mixup") == 6
    rows = list(csv.DictReader(io.StringIO(table_csv(boards(made)))))
    assert {"separated_from_reference", "p_reference", "effect_reference"} <= set(rows[0])
    assert {row["reference"] for row in rows} == {"mixup"}


def test_without_a_reference_everything_is_taken_to_the_baseline() -> None:
    made, facts = records(), SuiteFacts(name="a")
    assert boards(made, facts)[0].tables[0].reference == "baseline"
    assert "**Δ** is the difference to the baseline" in page(facts, made, boards(made, facts))
    assert "difference to the baseline" in " ".join(leaderboard_text(facts, made, boards(made, facts), 120).split())


def test_the_browser_report_takes_the_reference() -> None:
    made = loaded(records(), facts=FACTS)
    core = report_content(made).core
    place = next(i for i, one in enumerate(core["combinations"]) if one["label"] == "mixup")
    assert core["reference"] == {"combination": place, "text": "mixup"}
    table = core["boards"][0]["tables"][1]
    column = next(one for one in table.columns if one.heading == "Δ mixup")
    assert column.name == "Difference to mixup"
    assert None not in [number for number, label in zip(column.numbers, table.combinations, strict=True) if label != place]  # fmt: skip
    assert " points over mixup" in table.best
    assert "Δ is the difference to mixup, whose row is shaded." in document(made)


def test_a_long_label_is_cut_in_the_heading_alone() -> None:
    label = "stacking[models=convnet[width=16]+convnet[width=24]]"
    assert delta_title(label) == "Δ stacking[models=convnet…"
    assert delta_title("baseline") == "Δ"


def test_figures_set_the_highlight_against_the_reference() -> None:
    (group,) = group_records(records())
    boards = make_boards(records(), reference=("mixup",))
    facts = msgspec.structs.replace(FACTS, highlight=("tta", "mixup"))
    pair = ShownOnPage(facts, [group], boards).pair(group, 10.0)
    assert [one.label for one in pair] == ["mixup", "mixup + tta"]
    every = ShownOnPage(FACTS, [group], boards)
    assert [one.label for one in every.series(group)] == ["mixup", "baseline", "tta", "mixup + tta"]
    assert every.looks["mixup"] == Look()


def test_a_reference_is_kept_beside_the_records(tmp_path: Path) -> None:
    publish(tmp_path / "a", FACTS, records())
    found = load(tmp_path / "a")
    assert found.facts.reference == ("mixup",)
    assert {table.reference for table in found.boards[0].all_tables} == {"mixup"}
    # A file of an earlier version has no such key.
    old = msgspec.json.decode((tmp_path / "a" / "suite.json").read_bytes())
    del old["reference"]
    (tmp_path / "a" / "suite.json").write_bytes(msgspec.json.encode(old))
    assert columns(load(tmp_path / "a").boards[0].tables[0])[-4].name != "Δ mixup"
    assert load(tmp_path / "a").boards[0].tables[0].reference == "baseline"


def planned(tmp_path: Path, registry: Registry, reference: str, combinations: str) -> list[str]:
    path = tmp_path / "mine.toml"
    source = suite_source("mine", {"epochs": 1}).replace('techniques = ["mixup"]', "")
    path.write_text(f"reference = {reference}\ncombinations = {combinations}\n" + source)
    return [one.reason for one in suite_combinations(read_suite(path), registry) if isinstance(one, LeftOut)]


def test_a_reference_that_is_not_planned_is_named_in_the_plan(tmp_path: Path, registry: Registry) -> None:
    assert planned(tmp_path, registry, '["mixup", "shuffle"]', '[["mixup"], ["mixup", "tta"]]') == []
    assert planned(tmp_path, registry, '["mixup[alpha=0.2]"]', '[["mixup[alpha=0.2,0.4]"]]') == []
    (reason,) = planned(tmp_path, registry, '["tta"]', '[["mixup"]]')
    assert "no differences to it are shown" in reason
    with pytest.raises(LtbenchError, match="mixpu"):
        planned(tmp_path, registry, '["mixpu"]', '[["mixup"]]')
