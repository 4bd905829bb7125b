"""Rows of unlike machines are not called paired, wherever differences are shown."""

from __future__ import annotations

import pytest
from synthetic import boards, record

from ltbench.leaderboard.compare.compare import compare_combinations, compare_sets
from ltbench.leaderboard.compare.terminal import comparison_text
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.statistics.effects import interactions, main_effects
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record

HERE = {"processor": "AMD EPYC", "processor_model": "AuthenticAMD 26 2", "device": "cpu"}
THERE = HERE | {"processor_model": "GenuineIntel 6 143"}
TECHNIQUES = ({}, {"mix": "mixup"}, {"view": "tta"}, {"mix": "mixup", "view": "tta"})


def runs(*, elsewhere: tuple[int, ...] = ()) -> list[Record]:
    """Return a factorial of two techniques over four seeds. elsewhere: seeds whose mixup cells are of another machine."""
    return [
        record(
            techniques, seed=seed, environment=THERE if seed in elsewhere and "mix" in techniques else HERE,
            scores={"top1": 0.5 + 0.02 * seed + 0.03 * ("mix" in techniques) + 0.01 * ("view" in techniques)},
        )
        for seed in range(4)
        for techniques in TECHNIQUES
    ]  # fmt: skip


def test_effects_leave_out_differences_between_unlike_machines() -> None:
    alike = {effect.techniques: effect for effect in main_effects(ScoreArray.of(runs()))}
    some = {effect.techniques: effect for effect in main_effects(ScoreArray.of(runs(elsewhere=(0, 1))))}
    assert [(e.n, e.cells) for e in (alike["mixup",], some["mixup",])] == [(4, 8), (2, 4)]
    # Both cells of a context are of one machine.
    assert some["tta",].cells == alike["tta",].cells == 8
    (pair,) = interactions(ScoreArray.of(runs(elsewhere=(0,))))
    assert pair.n == 3
    every = main_effects(ScoreArray.of(runs(elsewhere=(0, 1, 2, 3))))
    assert [effect.techniques for effect in every] == [("tta",)]


def test_page_and_terminal_say_it() -> None:
    records = runs(elsewhere=(0, 1, 2, 3))
    found, facts = boards(records), SuiteFacts(name="s")
    text = leaderboard_text(facts, records, found, 100)
    assert "mixup: not paired, as it was run on another type of machine" in " ".join(text.split())
    assert "are left out of\nthese effects" in page(facts, records, found)
    some = runs(elsewhere=(1,))
    text = leaderboard_text(facts, some, boards(some), 100)
    assert "mixup: paired only in the runs on one type of machine: processor model" in " ".join(text.split())
    assert "other types of machines" not in page(facts, runs(), boards(runs()))


def test_a_comparison_says_it_and_takes_welchs_test() -> None:
    paired = compare_combinations(runs(), "baseline", "mixup", "top1").lines[0]
    found = compare_combinations(runs(elsewhere=(0, 1, 2, 3)), "baseline", "mixup", "top1")
    (line,) = found.lines
    assert (paired.paired, line.paired) == (True, False)
    assert line.difference.mean == pytest.approx(0.03)
    assert line.p > 0.1
    assert "not significant, not paired" in comparison_text(found, 160)


def test_a_set_compared_with_itself_has_no_other_images() -> None:
    records = runs()
    found = compare_sets(records, records, ("a", "b"), "top1")
    assert (found.same, found.other_spec) == (True, [])
