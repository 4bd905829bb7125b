from __future__ import annotations

import numpy as np
import pytest
from synthetic import boards, identified, raw, record, suite

from ltbench.errors import UnknownName, UsageError
from ltbench.leaderboard.compare.compare import compare_cells, compare_combinations, compare_sets
from ltbench.leaderboard.compare.terminal import comparison_text

RECORDS = suite(factors=(10.0, 100.0), seeds=(0, 1, 2, 3), names=("cb_sampler", "mixup"))


def tops(label: str, factor: float) -> list[float]:
    return [r.metrics["top1"] for r in RECORDS if r.label == label and r.setting.imbalance_factor == factor]


def test_two_combinations_are_compared_run_by_run_at_every_factor_and_over_all() -> None:
    found = compare_combinations(RECORDS, "baseline", "mixup + cb_sampler", "top1")
    assert found.names == ("baseline", "cb_sampler + mixup")
    assert [line.factor for line in found.lines] == [10.0, 100.0, None]
    gaps = {f: np.subtract(tops("cb_sampler + mixup", f), tops("baseline", f)) for f in (10.0, 100.0)}
    gaps[None] = (gaps[10.0] + gaps[100.0]) / 2
    (board,) = boards(RECORDS)
    tables = {table.factor: {row.label: row for row in table.rows} for table in board.all_tables}
    for line in found.lines:
        row = tables[line.factor]["cb_sampler + mixup"]
        assert line.difference == row.delta
        assert line.difference.mean == pytest.approx(gaps[line.factor].mean())
        assert (line.difference.n, line.p) == (4, row.p)
        assert line.second == row.scores["top1"]
    assert [len(line.cells) for line in found.lines] == [4, 4, 0]


@pytest.mark.parametrize("asked", ["cb_sampler+mixup", "mixup + cb_sampler", " cb_sampler  +  mixup "])
def test_a_combination_is_written_in_any_order(asked: str) -> None:
    assert compare_combinations(RECORDS, asked, "baseline", "top1").names[0] == "cb_sampler + mixup"


def test_the_plus_of_a_list_parts_no_techniques() -> None:
    picked = {"regime": "stages[at=1+2]", "mix": "mixup"}
    one = record(picked)
    assert compare_combinations([one, record()], "mixup+stages[at=1+2]", "baseline", "top1").names[0] == one.label


def test_brackets_within_brackets_part_no_techniques() -> None:
    one = record({"ensemble": "stacking[models=convnet[width=16]+convnet[width=24]]", "mix": "mixup"})
    assert compare_combinations([one, record()], one.label, "baseline", "top1").names[0] == one.label


def test_a_combination_is_found_by_the_names_that_a_page_shortens_it_to() -> None:
    one, two = record({"mix": "mixup[lam=0.4]", "loss": "ens"}), record({"mix": "mixup[lam=0.4]"})
    found = compare_combinations([one, two, record()], "mixup+ens", "mixup", "top1")
    assert found.names == (one.label, two.label)
    with pytest.raises(UnknownName):
        compare_combinations([two, record({"mix": "mixup[lam=0.5]"})], "mixup", "baseline", "top1")


def test_what_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mixpu") as caught:
        compare_combinations(RECORDS, "baseline", "mixpu", "top1")
    assert "mixup" in caught.value.fix
    with pytest.raises(UnknownName, match="metric 'top5'") as caught:
        compare_combinations(RECORDS, "baseline", "mixup", "top5")
    assert "top1" in caught.value.fix
    with pytest.raises(UsageError, match="with itself"):
        compare_combinations(RECORDS, "cb_sampler+mixup", "mixup + cb_sampler", "top1")


def test_one_run_is_no_test_and_a_difference_without_spread_separates_nothing() -> None:
    one = compare_combinations([record(), record({"mix": "mixup"}, scores={"top1": 0.6})], "baseline", "mixup", "top1")
    assert (one.lines[0].p, one.lines[0].difference.mean) == (None, pytest.approx(-0.1))
    same = [record(seed=s) for s in (0, 1)] + [record({"mix": "mixup"}, seed=s) for s in (0, 1)]
    assert compare_combinations(same, "baseline", "mixup", "top1").lines[0].p is None


def test_the_same_records_are_the_same_and_it_is_said() -> None:
    found = compare_sets(RECORDS, RECORDS[::-1], ("a", "b"), "top1")
    assert found.same
    assert "Identical: 32 cells" in comparison_text(found, 80)


def test_records_that_differ_are_found_cell_by_cell() -> None:
    other = [*RECORDS]
    place = next(i for i, r in enumerate(other) if r.label == "mixup" and r.setting.imbalance_factor == 10.0)
    then = other[place]
    other[place] = record({"mix": "mixup"}, 10.0, then.setting.seed, dict(then.metrics) | {"top1": 0.5})
    found = compare_sets(RECORDS, other, ("a", "b"), "top1")
    assert not found.same
    cells = [cell for line in found.lines for cell in line.cells if not cell.same]
    assert [(cell.ids[0], cell.scores[1]) for cell in cells] == [(then.id, 0.5)]
    shown = comparison_text(found, 80)
    assert "Cells on both sides: 32, 31 of them bit-identical" in shown
    assert shown.count("mixup") == 1, "a line without a difference is not shown"


def test_what_only_one_side_has_is_listed_by_combination() -> None:
    less = [r for r in RECORDS if not (r.label == "mixup" and r.setting.imbalance_factor == 10.0)]
    found = compare_sets(RECORDS, less, ("a", "b"), "top1")
    assert found.only[1] == []
    (line,) = found.only[0]
    assert line == "mixup, imbalance factor 10 (fashion_mini, convnet), subset and training seeds 0/0, 1/1, 2/2, 3/3"


def test_cells_of_one_place_and_another_identity_are_compared_with_what_differs() -> None:
    made = raw(environment={"torch": "3"})
    made["fits"][0]["model"]["revision"] = 2
    found = compare_sets([record(environment={"torch": "2"})], [identified(made)], ("a", "b"), "top1")
    assert found.other_spec == ["fits[0].model.revision: 1 / 2"]
    assert found.machines == ["torch 2 / 3"]
    assert not found.same


def test_runs_on_other_images_are_not_paired() -> None:
    made = raw(scores={"top1": 0.9})
    made["fits"][0]["data"]["fingerprint"] = "beef"
    found = compare_sets([record()], [identified(made)], ("a", "b"), "top1")
    assert (found.lines, [len(side) for side in found.only]) == ([], [1, 1])
    assert found.other_spec == ["fashion_mini: other images on the two sides, so nothing is paired"]


def test_two_cells_are_compared_metric_by_metric() -> None:
    found = compare_cells(record(), record({"mix": "mixup"}, seed=1, scores={"few": None}), "top1")
    assert found.metrics["few"] == (0.5, None)
    assert "fits[0].seed: 0 / 1" in found.other_spec
    assert "one run: no test" in comparison_text(found, 80)


@pytest.mark.parametrize("width", [50, 80, 160])
def test_the_table_fits_the_window(width: int) -> None:
    for found in (
        compare_combinations(RECORDS, "baseline", "mixup", "top1"),
        compare_sets(RECORDS, RECORDS[:9], ("a", "b"), "top1"),
    ):
        shown = comparison_text(found, width, cells=True)
        assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_narrow_window_breaks_no_word_of_a_verdict(width: int) -> None:
    found = compare_combinations(suite(names=("cb_sampler", "tta")), "cb_sampler + tta", "cb_sampler", "top1")
    text = comparison_text(found, width)
    assert "not significant" in text
    assert max(map(len, text.splitlines())) <= width
    assert (" p " in text.splitlines()[3]) == (width > 60)
