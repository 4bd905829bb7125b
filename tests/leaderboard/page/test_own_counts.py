"""A data set that keeps its own class counts is not said to have imbalance factor 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import publish, raw

from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import OWN_COUNTS, place_text
from ltbench.records.record import seal

COUNTS = [1020, 400, 100]


@pytest.mark.parametrize(
    ("factor", "counts", "words"),
    [
        (100.0, [600, 6], "imbalance factor 100"),
        (1.0, [600, 600], "imbalance factor 1"),
        (1.0, COUNTS, OWN_COUNTS),
        (1.0, [600, 0], OWN_COUNTS),
        (1.0, [], "imbalance factor 1"),
        # Too few images for the factor; it is still what was asked for.
        (500.0, [60, 1], "imbalance factor 500"),
    ],
)
def test_a_place_in_words(factor: float, counts: list[int], words: str) -> None:
    assert place_text(factor, {"counts": counts} if counts else {}) == words


def test_page_terminal_and_report_say_that_the_counts_are_those_of_the_data_set(tmp_path: Path) -> None:
    made = [raw(t, 1.0, seed, classes="abc") for t in ({}, {"mix": "mixup"}) for seed in (0, 1)][:3]
    for record in made:
        record["data"] = record["data"] | {"counts": COUNTS, "imbalance_factor": 10.2}
    publish(tmp_path, SuiteFacts(name="photos", figures=("confusion",)), map(seal, made))
    text = (tmp_path / "README.md").read_text()
    assert "### The data set's own class counts\n" in text
    assert "1,520 in all, realised imbalance 10.2" in text
    assert "mixup at the data set's own class counts (fashion_mini): seed 1" in text
    assert "mbalance factor 1" not in text
    loaded = load(tmp_path)
    shown = leaderboard_text(loaded.facts, loaded.records, loaded.boards, 100)
    assert "the data set's own class counts" in shown
    assert "mbalance factor 1" not in shown
    (table,) = report_content(loaded).core["boards"][0]["tables"]
    assert (table.name, table.place) == ("own counts", OWN_COUNTS)
