"""Columns of tables: what metrics declare, from a third party's file to every form of a leaderboard."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import synthetic
from click.testing import CliRunner
from support import ltbench
from synthetic import COLUMNS, publish, record

from ltbench.cli import group
from ltbench.columns import Column
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.merge import merge_facts
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import columns, more_columns, shown_in
from ltbench.leaderboard.tables.columns import columns_of, columns_present, declared_columns, join_columns
from ltbench.leaderboard.tables.table import make_boards
from ltbench.records.record import Record, plain_values, seal, validate

METRIC = '''
from ltbench import Column, Metric, hookimpl


class Confidence(Metric):
    """Mean confidence, and the entropy of the predictions. Source: a test."""

    name = "confidence"
    columns = (
        Column(name="mean_confidence", title="conf.", description="Mean of the highest probability.", shown="main",
               priority=100),
        Column(name="entropy", title="H", long_title="Entropy", higher_is_better=False, unit="plain"),
    )

    def compute(self, probabilities, labels, counts):
        import numpy as np

        entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(1).mean()
        return {"mean_confidence": float(probabilities.max(1).mean()), "entropy": float(entropy), "undeclared": 0.5}


@hookimpl
def ltbench_metrics():
    return [Confidence]
'''
CONFIDENCE = Column(name="confidence", title="conf.", shown="main")


def with_metrics(made: Record, **metrics: float | None) -> Record:
    return validate(seal(plain_values(made) | {"metrics": made.metrics | metrics, "digest": ""}))


def test_the_file_of_a_metric_is_all_that_its_columns_need(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "confidence.py").write_text(METRIC)
    at = ["--store", str(tmp_path / "store"), "--leaderboards", str(tmp_path / "leaderboards")]
    asked = ["--suite", str(trained / "tiny.toml"), "--plugin-file", str(tmp_path / "confidence.py")]
    done = CliRunner().invoke(group, ["run", *asked, "--executor", "inline", "--publish", *at], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    folder = tmp_path / "leaderboards" / "tiny"
    # From here on nobody has the plugin.
    shown = load(folder)
    metrics = shown.records[0].metrics
    page = (folder / "README.md").read_text()
    heads = [line for line in page.splitlines() if line.startswith("|") and "techniques" in line]
    assert any(head.replace(" ", "").endswith("|conf.|") for head in heads)
    assert any(head.replace(" ", "").endswith("|SD|H|F1|ECE|") for head in heads)
    assert "undeclared" not in page
    row = next(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert float(row["mean_confidence"]) > 0
    assert float(row["entropy"]) > 0
    assert float(row["undeclared"]) == 0.5
    terminal = ltbench("leaderboard", "tiny", "--leaderboards", str(folder.parent), env={"COLUMNS": "200"})
    assert {"conf.", "H"} <= {word for line in terminal.stdout.splitlines() for word in line.split()}
    table = report_content(shown).core["boards"][0]["tables"][-1]
    by_score = {column.score: column for column in table.columns}
    assert (by_score["mean_confidence"].about, by_score["mean_confidence"].unit) == (
        "Mean of the highest probability.", "percent",
    )  # fmt: skip
    assert (by_score["entropy"].name, by_score["entropy"].sign, by_score["entropy"].unit) == ("Entropy", -1, "plain")
    assert by_score["entropy"].texts[-1] == f"{by_score['entropy'].numbers[-1]:.3f}"
    assert metrics["undeclared"] == 0.5
    assert "undeclared" not in by_score
    checked = ltbench("leaderboard", "--check", "--leaderboards", str(folder.parent), cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_columns_stand_where_they_are_declared_to_be() -> None:
    made = [with_metrics(record(seed=seed), a=0.1, b=0.2, c=0.3, d=0.4) for seed in (0, 1)]
    shown = ("main", "folded", "report", "export")
    declared = [*COLUMNS, *(Column(name=n, title=n.upper(), shown=s) for n, s in zip("abcd", shown, strict=True))]
    table = make_boards(made, (), declared)[0].tables[0]
    found = (columns(table), more_columns(table), shown_in(table, "report"))
    titles = [[column.name for column in part] for part in found]
    # Eight columns are before the fold: what is declared with the lowest priority has no room there.
    assert titles[0] == ["rank", "techniques", "top-1", "Δ", "many", "med.", "few", "worst"]
    assert titles[1] == ["techniques", "A", "head", "middle", "tail", "SD", "B", "F1", "ECE"]
    assert titles[2] == ["C"]


def test_a_number_that_nobody_declares_is_in_the_csv_alone() -> None:
    table = make_boards([with_metrics(record(), other=0.25)], (), COLUMNS)[0].tables[0]
    assert [column.shown for column in table.columns if column.name == "other"] == ["export"]
    assert table.rows[0].scores["other"].mean == 0.25


def test_a_metric_that_no_record_has_adds_no_column() -> None:
    assert CONFIDENCE not in columns_of([record()], [*COLUMNS, CONFIDENCE])
    assert CONFIDENCE in columns_of([with_metrics(record(), confidence=None)], [*COLUMNS, CONFIDENCE])
    assert columns_present([], [CONFIDENCE]) == (CONFIDENCE,)


def test_records_without_the_primary_score_still_have_its_column() -> None:
    made = validate(seal(plain_values(record()) | {"metrics": {"other": 0.5}, "digest": ""}))
    assert next(column.name for column in columns_of([made], COLUMNS)) == "top1"
    assert [column.name for column in columns(make_boards([made], (), COLUMNS)[0].tables[0])][2] == "top-1"


def test_a_title_that_is_taken_gives_way_to_the_name_of_the_number() -> None:
    made = with_metrics(record(), first=0.1, second=0.2, third=0.3)
    taken = [Column(name="first", title="n"), Column(name="second", title="ECE"), Column(name="third", title="rank")]
    assert {"first", "second", "third"} <= {column.title for column in columns_of([made], [*COLUMNS, *taken])}


def test_the_metric_with_the_primary_score_comes_first() -> None:
    names = [column.name for column in COLUMNS]
    assert names[0] == "top1"
    assert names.index("ece") > names.index("sd_classes")
    assert declared_columns({}) == ()


def test_of_two_columns_for_one_number_the_first_side_counts() -> None:
    other = Column(name="confidence", title="other")
    assert join_columns([CONFIDENCE], [other]) == (CONFIDENCE,)


def test_a_new_page_has_the_columns_of_all_sources_and_one_that_is_there_keeps_its_own() -> None:
    other = Column(name="other", title="other")
    mine = SuiteFacts(name="a", columns=(CONFIDENCE,))
    theirs = SuiteFacts(name="b", columns=(other, CONFIDENCE))
    assert merge_facts("a", mine, [theirs]).columns == (CONFIDENCE,)
    assert merge_facts("a", None, [theirs, mine]).columns == (other, CONFIDENCE)


def test_publishing_where_a_metric_is_not_installed_keeps_its_column(tmp_path: Path) -> None:
    declared = (*COLUMNS, CONFIDENCE)
    publish(tmp_path / "s", SuiteFacts(name="s", columns=declared), [with_metrics(record(), confidence=0.9)])
    publish(tmp_path / "s", SuiteFacts(name="s", columns=COLUMNS), [record(seed=1)])
    assert load(tmp_path / "s").facts.columns == declared
    assert "conf. |" in (tmp_path / "s" / "README.md").read_text()


def test_a_suite_published_before_columns_were_noted_has_those_of_the_installed_metrics(tmp_path: Path) -> None:
    records = synthetic.suite(factors=(10.0,), seeds=(0, 1), names=("mixup",))
    publish(tmp_path / "new" / "s", SuiteFacts(name="s", columns=COLUMNS), records)
    publish(tmp_path / "old" / "s", SuiteFacts(name="s"), records)
    facts = json.loads((tmp_path / "old" / "s" / "suite.json").read_text())
    assert facts.pop("columns") == []
    (tmp_path / "old" / "s" / "suite.json").write_text(json.dumps(facts))
    assert load(tmp_path / "old" / "s").columns == load(tmp_path / "new" / "s").columns
    new, old = ((tmp_path / name / "s" / "README.md").read_bytes() for name in ("new", "old"))
    assert new == old


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ('(Column(name="a", title="a", shown="tabel"),)', "Invalid enum value 'tabel'"),
        ('(Column(name="a", title="a"), Column(name="a", title="b"))', "declares two columns for 'a'"),
        ('("a",)', "Expected `object`, got `str`"),
    ],
)
def test_a_declaration_that_cannot_be_used_breaks_the_plugin_by_name(third_party, columns: str, error: str) -> None:
    source = f'''
from ltbench import Column, Metric, hookimpl
class Wrong(Metric):
    """Nothing. Source: a test."""
    name = "wrong"
    columns = {columns}
@hookimpl
def ltbench_metrics():
    return [Wrong]
'''
    (broken,) = third_party("ltbench-wrong", "1.0", wrong=source).broken
    assert error in broken.error
