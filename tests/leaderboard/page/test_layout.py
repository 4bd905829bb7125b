"""The layout of the committed suites' pages: the order of their parts, and how much of it a reader meets first."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import synthetic
from reports import loaded as made_folder
from synthetic import COLUMNS, boards, record

from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.publish import PAGE, SuiteFolder, folders, load, render
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import WIDEST
from ltbench.suite.published import Claim

ROOT = Path(__file__).parents[3] / "leaderboards"
SUITES = [folder.name for folder in folders(ROOT)]
FIRST = re.compile(r"<details>|^## ", re.MULTILINE)


@cache
def loaded(suite: str) -> SuiteFolder:
    return load(ROOT / suite)


@cache
def page_of(suite: str) -> str:
    return render(loaded(suite))[ROOT / suite / PAGE]


def unfolded(text: str) -> str:
    """Return a page without what its reader has to open."""
    parts = re.split(r"<details>|</details>", text)
    return "".join(parts[::2])


def test_there_are_suites_to_look_at() -> None:
    assert {"quick", "cifar10-lt", "report-wong-fast"} <= set(SUITES)


def widest(text: str) -> int:
    """Return the columns of the widest table that a reader need not open."""
    rules = [line for line in unfolded(text).splitlines() if re.fullmatch(r"\|[:|-]+\|", line)]
    return max(line.count("|") - 1 for line in rules)


@pytest.mark.parametrize("suite", SUITES)
def test_no_table_before_the_fold_has_more_than_eight_columns(suite: str) -> None:
    assert widest(page_of(suite)) <= WIDEST


def test_six_factors_and_missing_runs_do_not_widen_a_table() -> None:
    made = synthetic.suite(factors=(1.0, 5.0, 10.0, 20.0, 50.0, 100.0), names=("mixup", "tta", "cb_sampler"))
    made = [one for one in made if not (one.label == "tta" and one.setting.seed == 2)]
    folder = made_folder(made, SuiteFacts(name="s", columns=COLUMNS, claims=(Claim(text="Helps", better=("tta",)),)))
    text = page(folder.facts, folder.records, folder.boards)
    assert widest(text) <= WIDEST
    assert "<summary>More factors: IF 5, IF 10, IF 50</summary>" in text
    # Each effect at each factor is somewhere on the page.
    effects = text[text.index("### What each technique adds") : text.index("### What pairs add")]
    assert {f"IF {factor}" for factor in (1, 5, 10, 20, 50, 100)} <= set(re.findall(r"IF \d+", effects))


def test_two_boards_are_told_apart_and_begin_the_page_both() -> None:
    made = [
        record(
            {"mix": name} if name else {}, 100.0, seed, {"top1": 0.5 + 0.1 * bool(name) + 0.01 * seed}, epochs=epochs
        )
        for name in ("", "mixup")
        for seed in (0, 1)
        for epochs in (20, 40)
    ]
    folder = made_folder(made, SuiteFacts(name="s", command="ltbench run", columns=COLUMNS))
    text = page(folder.facts, folder.records, folder.boards)
    headings = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert [one for one in headings if "fashion_mini" in one] == [
        "fashion_mini, profile exp, convnet, epochs=20",
        "fashion_mini, profile exp, convnet, epochs=40",
        "fashion_mini, profile exp, convnet, epochs=20: details",
        "fashion_mini, profile exp, convnet, epochs=40: details",
    ]
    assert text.index("## fashion_mini, profile exp, convnet, epochs=40\n") < text.index("self-reported")
    assert text.index("Reproduce it with") < text.index("epochs=20: details")


@pytest.mark.parametrize("suite", [suite for suite in SUITES if len(loaded(suite).boards) == 1])
def test_the_question_one_figure_and_the_table_come_before_anything_else(suite: str) -> None:
    text = page_of(suite)
    facts = loaded(suite).facts
    has_figure = bool(facts.figures)
    # A page that is being filled may have one pair of seeds of most rows.
    compared = sum(row.n > 1 for row in loaded(suite).boards[0].main_table.rows) > 1
    parts = [
        f"# {facts.title}", " ".join(facts.question.split()), *["](figures/"] * has_figure, "\n| ", " in % at ",
        *["<summary>Tests against"] * compared, "self-reported", "<summary>How to read the tables",
        "Reproduce it with", "\nRecipe: `", "<summary>Sources of variance", "## Plugins",
    ]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    first = text[: FIRST.search(text).start()]  # type: ignore[union-attr]
    assert first.count("](figures/") == has_figure
    assert len(re.findall(r"^\|[:|-]+\|$", first, re.MULTILINE)) == 1
    if facts.claims:
        assert text.index("Reproduce it with") < text.index("## Against the report") < text.index("\nRecipe: `")


@pytest.mark.parametrize("suite", SUITES)
def test_every_figure_is_shown_once(suite: str) -> None:
    shown = re.findall(r"\]\(figures/([^)]+)\)", page_of(suite))
    assert len(shown) == len(set(shown))
    assert {path.name for path in render(loaded(suite)) if path.suffix == ".svg"} == set(shown)


@pytest.mark.parametrize("suite", SUITES)
def test_every_published_number_is_on_the_page(suite: str) -> None:
    text = page_of(suite)
    published = [one for board in loaded(suite).boards for table in board.all_tables for one in table.published]
    assert len(published) <= text.count("*reported, ")
    for one in loaded(suite).facts.reported:
        assert f"*{100 * one.number:.1f}*" in text or f" {100 * one.number:.1f} |" in text


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_keeps_rank_techniques_mean_and_difference(suite: str, width: int) -> None:
    folder = loaded(suite)
    text = leaderboard_text(folder.facts, folder.records, folder.boards, width, trust=folder.trust)
    assert max(map(len, text.splitlines())) <= width
    heads = [line.split() for line in text.splitlines() if line.strip().startswith("rank ")]
    assert len(heads) == sum(len(board.all_tables) for board in folder.boards)
    for head in heads:
        assert head[:2] == ["rank", "techniques"]
        assert {"mean", folder.boards[0].ranking.column.title.split()[0]} & set(head)
        assert any(name.startswith("Δ") for name in head)


def test_a_page_says_how_its_differences_are_tested() -> None:
    def said(level: float, seeds: int = 3) -> str:
        made = [record({"mix": name} if name else {}, seed=seed, scores={"top1": level + 0.002 * seed + 0.001 * (seed % 2) * len(name)})
                for name in ("", "mixup") for seed in range(seeds)]  # fmt: skip
        return page(SuiteFacts(name="s"), made, boards(made))

    assert "scale of the arcsine of the root" in said(0.97)
    assert "scale of the arcsine" not in said(0.5)
    assert "studentised range (Tukey-Kramer)" in said(0.5)
    assert "it is about 12 % for 16 rows" in said(0.5)
    assert "Bonferroni over all pairs" in said(0.5, seeds=10)
    assert "about 12 %" not in said(0.5, seeds=10)
