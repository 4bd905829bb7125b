from __future__ import annotations

import random

import numpy as np
import pytest
import synthetic
from synthetic import boards, provenance, raw, record

from ltbench.leaderboard.tables.cell_text import rank_text
from ltbench.leaderboard.tables.table import matrices
from ltbench.records.record import Record, seal, validate

ERROR = {"type": "JobFailed", "message": "boom", "job": "j", "log": "log"}


def at(top1: float, techniques: dict[str, str] | None = None, **kwargs: object) -> Record:
    return record(techniques or {}, scores={"top1": top1}, **kwargs)


def test_means_and_differences_worked_by_hand() -> None:
    records = [
        at(0.60, seed=0),
        at(0.64, seed=1),
        at(0.66, {"mix": "mixup"}, seed=0),
        at(0.68, {"mix": "mixup"}, seed=1),
    ]
    (board,) = boards(records)
    mixup, baseline = board.tables[0].rows
    assert (mixup.label, baseline.label) == ("mixup", "baseline")
    assert mixup.scores["top1"].mean == pytest.approx(0.67)
    assert mixup.delta is not None
    assert mixup.delta.mean == pytest.approx(0.05)
    # Differences 0.06 and 0.04, so sd 0.01414 and half 12.706 * 0.01414 / sqrt(2).
    assert mixup.delta.half == pytest.approx(0.12706, rel=1e-4)
    assert baseline.delta is None


def test_a_row_with_missing_runs_says_so_and_is_compared_over_those_it_has() -> None:
    records = [at(0.50, seed=0), at(0.60, seed=1), at(0.70, {"mix": "mixup"}, seed=1)]
    (board,) = boards(records, seeds=[(0, 0), (1, 1), (2, 2)])
    mixup = board.tables[0].rows[0]
    assert (mixup.n, board.tables[0].expected) == (1, 3)
    assert mixup.delta.mean == pytest.approx(0.10)
    assert board.missing == [("baseline", 100.0, ((2, 2),)), ("mixup", 100.0, ((0, 0), (2, 2)))]


def test_nothing_is_imputed_across_factors() -> None:
    records = [at(0.8, factor=10.0), at(0.6, factor=100.0), at(0.9, {"mix": "mixup"}, factor=10.0)]
    (board,) = boards(records)
    rows = {row.label: row for row in board.across.rows}
    assert rows["baseline"].scores["top1"].mean == pytest.approx(0.7)
    assert rows["mixup"].scores["top1"] is None
    assert rows["mixup"].rank is None
    assert rows["mixup"].scores["top1@10"].mean == 0.9
    assert rows["mixup"].scores["top1@100"] is None
    assert board.missing == [("mixup", 100.0, ((0, 0),))]


def test_a_mean_across_factors_takes_runs_that_are_there_at_every_factor() -> None:
    records = [at(0.8, factor=10.0, seed=0), at(0.9, factor=10.0, seed=1), at(0.6, factor=100.0, seed=1)]
    (board,) = boards(records)
    (row,) = board.across.rows
    assert (row.n, row.scores["top1"].mean) == (1, pytest.approx(0.75))


def test_one_factor_has_no_table_across() -> None:
    (board,) = boards([at(0.5)])
    assert board.across is None


def test_a_failed_cell_is_a_row_without_a_number_at_the_end() -> None:
    records = [at(0.5), record({"mix": "mixup"}, error=ERROR)]
    (board,) = boards(records)
    failed = board.tables[0].rows[-1]
    assert (failed.label, failed.n, failed.rank, failed.failed) == ("mixup", 0, None, (records[1].id,))
    assert failed.failed_scores == {"top1": records[1].id}
    assert board.missing == []


@pytest.mark.parametrize("other", [{"dataset": "cifar10"}, {"epochs": 300}], ids=lambda other: next(iter(other)))
def test_what_cannot_be_compared_is_on_boards_of_its_own(other: dict[str, object]) -> None:
    both = boards([at(0.5), at(0.9, {"mix": "mixup"}, **other)])
    assert [len(board.tables[0].rows) for board in both] == [1, 1]


def test_protocols_are_never_ranked_together() -> None:
    changed = raw({"mix": "mixup"})
    changed["protocol"] = "ltb2"
    assert [b.protocol for b in boards([at(0.5), validate(seal(changed))])] == ["ltb1", "ltb2"]


def test_of_two_versions_of_a_cell_the_higher_revision_counts() -> None:
    old, new = raw(scores={"top1": 0.4}), raw(scores={"top1": 0.5})
    new["id"] = "f" * 32
    old["id"] = "e" * 32
    new["plugins"] = [provenance("cross_entropy", "loss", revision=1)]
    old["plugins"] = [provenance("cross_entropy", "loss", revision=2)]
    (board,) = boards([validate(seal(new)), validate(seal(old))])
    assert board.tables[0].rows[0].scores["top1"].mean == 0.4
    assert board.versions == 1


def test_an_undefined_score_is_none_and_not_zero() -> None:
    (board,) = boards([record(scores={"few": None}), record(scores={"few": None}, seed=1)])
    assert board.tables[0].rows[0].scores["few"] is None


def test_without_a_baseline_there_is_no_difference() -> None:
    (board,) = boards([at(0.5, {"mix": "mixup"}), at(0.6, {"view": "tta"})])
    assert [row.delta for row in board.tables[0].rows] == [None, None]
    assert not any(row.separated for row in board.tables[0].rows)


def test_equal_means_are_in_the_order_of_simplicity_and_stage() -> None:
    records = [at(0.5, t) for t in ({"mix": "mixup", "view": "tta"}, {"view": "tta"}, {"mix": "mixup"}, {})]
    (board,) = boards(records)
    assert [row.label for row in board.tables[0].rows] == ["baseline", "mixup", "tta", "mixup + tta"]


def test_boards_do_not_depend_on_the_order_of_records() -> None:
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2))
    records += [at(0.5, dataset="cifar10"), at(0.6, epochs=300)]
    expected = boards(records)
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert boards(records) == expected


def test_no_records_are_no_boards() -> None:
    assert boards([]) == []


def test_a_score_has_a_number_for_each_combination_and_run() -> None:
    groups = {"baseline": [at(0.5, seed=2)], "mixup": [record({"mix": "mixup"}, error=ERROR)]}
    top1 = matrices(groups, [(0, 0), (2, 2)], ["top1"])["top1"]
    assert np.isnan(top1).tolist() == [[True, False], [True, True]]
    assert top1[0, 1] == 0.5


HERE = {"processor": "AMD EPYC", "processor_model": "AuthenticAMD 26 2", "device": "cpu", "torch": "2.15.0"}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (HERE | {"processor_model": "AuthenticAMD 25 17"}, "processor model AuthenticAMD 26 2 / AuthenticAMD 25 17"),
        (HERE | {"device": "NVIDIA H200"}, "device cpu / NVIDIA H200"),
    ],
    ids=["processor", "device"],
)
def test_a_row_whose_runs_are_from_another_machine_is_not_called_paired(there: dict[str, str], said: str) -> None:
    base = [at(0.60 + 0.01 * seed, seed=seed, environment=HERE) for seed in range(4)]
    mine = [at(0.63 + 0.01 * seed, {"mix": "mixup"}, seed=seed, environment=HERE) for seed in range(4)]
    other = [at(0.63 + 0.01 * seed, {"view": "tta"}, seed=seed, environment=there) for seed in range(4)]
    (board,) = boards([*base, *mine, *other])
    rows = {row.label: row for row in board.tables[0].rows}
    assert rows["mixup"].notes == ()
    # A difference that is the same in every run has no spread, and so no interval.
    assert (rows["mixup"].delta.mean, rows["mixup"].delta.interval) == (pytest.approx(0.03), None)
    assert rows["tta"].notes == (
        f"not paired, as it was run on another type of machine: {said}; compared by Welch's test",
    )
    # Means 0.645 and 0.615 of four runs with variance 0.0005 / 3: SE 0.009129, df 6; two pairs are tested, so
    # t(1 - 0.025 / 2, 6) = 2.9687.
    assert rows["tta"].delta.mean == pytest.approx(0.03)
    assert rows["tta"].delta.half == pytest.approx(0.02710, rel=1e-3)
    assert rows["tta"].effect is None


def test_one_row_is_the_best_where_two_have_no_run_in_common() -> None:
    records = [at(0.60, seed=0), at(0.59, {"mix": "mixup"}, seed=1)]
    (board,) = boards(records)
    rows = board.tables[0].rows
    assert [(row.label, row.is_best, row.to_best, rank_text(row)) for row in rows] == [
        ("baseline", True, None, "1–2"),
        ("mixup", False, None, "1–2"),
    ]
