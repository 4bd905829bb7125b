from __future__ import annotations

import numpy as np
import pytest
from synthetic import boards, record

from ltbench.leaderboard.figures import critical_difference, place_figures
from ltbench.leaderboard.figures.canvas import svg
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.statistics.mean_ranks import MeanRanks, mean_ranks, rank_and_test
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record, sort_key

# Ranks of four classifiers on 14 data sets: Demsar (2006), table 6.
DEMSAR = np.array([
    [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5], [3, 2, 4, 1],
    [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2],
])  # fmt: skip
LABELS = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]


def test_mean_ranks_and_critical_difference_are_those_of_demsar() -> None:
    found = rank_and_test([str(i) for i in range(14)], LABELS, -DEMSAR)
    assert dict(zip(found.labels, found.ranks, strict=True)) == pytest.approx(
        {"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}, abs=5e-4
    )
    assert found.difference == pytest.approx(1.25, abs=0.005)
    # His conclusion too: the best and the worst differ by 1.18, so the test is not powerful enough for any two here.
    assert found.groups == [(0, 3)]


def test_friedmans_statistic_is_that_of_demsar_but_for_ties() -> None:
    from scipy import stats

    # 9.28 without the correction for ties that scipy makes, which divides by 1 - sum(t^3 - t) / (N k (k^2 - 1)):
    # three pairs of ties (6 each) and one tie of four (60) over 14 * 60.
    found = rank_and_test([str(i) for i in range(14)], LABELS, -DEMSAR)
    assert found.p == pytest.approx(stats.chi2.sf(9.28 / (1 - 78 / 840), 3), rel=0.01)


def test_groups_are_the_largest_sets_of_neighbours_that_are_not_told_apart() -> None:
    values = np.tile([0.9, 0.8, 0.7, 0.6, 0.5], (30, 1))
    found = rank_and_test([str(i) for i in range(30)], list("abcde"), values)
    # CD = 3.858 / sqrt(2) * sqrt(5 * 6 / (6 * 30)) = 1.11: neighbours only.
    assert found.difference == pytest.approx(1.114, abs=1e-3)
    assert found.groups == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert found.p < 1e-10


def test_data_sets_on_which_all_are_equal_are_no_traceback() -> None:
    found = rank_and_test([str(i) for i in range(10)], list("abc"), np.full((10, 3), 0.5))
    assert (found.p, found.ranks, found.groups) == (1.0, [2.0, 2.0, 2.0], [(0, 2)])


def many(datasets: int) -> list[Record]:
    return [
        record(techniques, 100.0, seed, {"top1": 0.5 + gain + 0.01 * (d * (number + 1) % 5)}, dataset=f"set_{d:02}")
        for d in range(datasets)
        for number, (techniques, gain) in enumerate((({}, 0.0), ({"mix": "mixup"}, 0.03), ({"view": "tta"}, 0.2)))
        for seed in (0, 1)
    ]


def test_fewer_data_sets_than_stated_are_a_sentence() -> None:
    text = mean_ranks(group_records(many(9)))
    assert isinstance(text, str)
    assert "at least 10 (Demšar 2006), and this suite has 9" in text
    assert place_figures(SuiteFacts(name="s", figures=("critical_difference",)), many(9)) == []


def test_enough_data_sets_are_a_diagram() -> None:
    records = sorted(many(10), key=sort_key)
    found = mean_ranks(group_records(records))
    assert isinstance(found, MeanRanks)
    assert (found.labels[0], found.ranks[0], len(found.datasets)) == ("tta", 1.0, 10)
    figures = place_figures(SuiteFacts(name="s", figures=("critical_difference",)), records)
    text = page(SuiteFacts(name="s"), records, boards(records), figures)
    assert "(figures/critical_difference.svg)" in text
    assert "Friedman's test over 10 data sets is significant" in text
    drawing = svg(figures[0].drawings[0])
    assert "tta" in drawing
    assert "critical difference" in drawing


def test_combinations_that_are_not_everywhere_are_not_ranked() -> None:
    records = [r for r in many(10) if r.setting.dataset != "set_03" or r.label != "mixup"]
    text = mean_ranks(group_records(records))
    assert text == (
        "A critical-difference diagram ranks at least 3 combinations that were run on every data set; this suite has 2."
    )  # fmt: skip


def test_a_diagram_of_many_shows_the_best_and_says_so() -> None:
    rng = np.random.default_rng(0)
    found = rank_and_test([str(i) for i in range(12)], [f"t{i}" for i in range(30)], rng.normal(0, 1, (12, 30)))
    data = critical_difference.collect(found)
    assert (len(data.labels), data.many) == (20, 30)
    assert all(last < 20 for _, last in data.groups)


def test_the_axis_of_a_thousand_rows_has_few_ticks() -> None:
    for rows, most in ((5, 6), (1000, 17)):
        values = np.random.default_rng(0).normal(size=(10, rows)) + np.linspace(0.5, 0, rows)
        found = rank_and_test([f"data{i}" for i in range(10)], [f"row {i}" for i in range(rows)], values)
        made = critical_difference.draw(critical_difference.collect(found))
        ticks = [text.get_text() for text in made.axes[0].texts if text.get_text().isdigit()]
        assert 2 <= len(ticks) <= most
        assert len(set(ticks)) == len(ticks)
