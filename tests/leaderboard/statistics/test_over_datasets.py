from __future__ import annotations

import numpy as np
import pytest
from synthetic import boards, record

from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.statistics.comparisons import compare_rows
from ltbench.leaderboard.statistics.over_datasets import over_datasets
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record

ROWS = ({}, {"mix": "mixup"}, {"sampler": "cb"})


def made(gains: dict[str, tuple[float, float]], seed: int = 0, sd: float = 0.005) -> list[Record]:
    """Return three seeds of three rows on each data set; gains: of the second and third row."""
    rng = np.random.default_rng(seed)
    return [
        record(techniques, 100.0, run, {"top1": 0.6 + gain + 0.02 * run + rng.normal(0, sd)}, dataset=name)
        for name, both in gains.items()
        for techniques, gain in zip(ROWS, (0.0, *both), strict=True)
        for run in range(3)
    ]


def test_the_difference_is_the_mean_of_those_on_the_data_sets_and_variances_add_up() -> None:
    records = made({"a": (0.02, 0.05), "b": (0.04, 0.05)})
    found = over_datasets(group_records(records))
    assert found is not None
    assert (found.datasets, [row.label for row in found.rows]) == (["a", "b"], ["cb", "mixup", "baseline"])
    parts = []
    for name in ("a", "b"):
        values = np.array([[r.metrics["top1"] for r in records if r.setting.dataset == name and r.label == label]
                           for label in ("baseline", "mixup", "cb")])  # fmt: skip
        parts.append(compare_rows(values))
    mixup = found.rows[1]
    assert mixup.delta is not None
    assert mixup.delta.mean == pytest.approx(np.mean([part.gaps[1, 0] for part in parts]))
    # By hand: the errors of two tables with 4 degrees of freedom each.
    from scipy import stats

    squares = [part.error[1, 0] ** 2 for part in parts]
    df = sum(squares) ** 2 / sum(square**2 / 4 for square in squares)
    width = stats.studentized_range.ppf(0.95, 3, df) / 2**0.5 * sum(squares) ** 0.5 / 2
    assert mixup.delta.half == pytest.approx(width)


def test_a_technique_that_helps_here_and_hurts_there_is_an_interaction() -> None:
    opposite = over_datasets(group_records(made({"a": (0.1, 0.0), "b": (-0.1, 0.0)})))
    alike = over_datasets(group_records(made({"a": (0.1, 0.0), "b": (0.1, 0.0)})))
    assert opposite is not None
    assert alike is not None
    assert opposite.p_interaction < 0.001 < 0.05 < alike.p_interaction  # type: ignore[operator]


def test_the_test_of_the_interaction_errs_in_one_of_twenty() -> None:
    # 300 suites of two data sets without interaction, seeds 0 to 299; 0.05 and two standard errors are 0.075.
    wrong = [over_datasets(group_records(made({"a": (0.0, 0.0), "b": (0.0, 0.0)}, seed))).p_interaction < 0.05  # type: ignore[union-attr, operator]
             for seed in range(300)]  # fmt: skip
    assert np.mean(wrong) <= 0.075


def test_the_page_has_it_from_two_data_sets_on() -> None:
    records = made({"a": (0.1, 0.05), "b": (0.1, 0.05)})
    text = page(SuiteFacts(name="s"), records, boards(records))
    assert "## Across data sets" in text
    assert "Mean top-1 accuracy over 2 data sets" in text
    assert "F test of rows × data sets" in text
    assert "takes at least 10 (Demšar 2006), and this suite has 2" in text
    single = [one for one in records if one.setting.dataset == "a"]
    assert "Across data sets" not in page(SuiteFacts(name="s"), single, boards(single))
    assert over_datasets(group_records(single)) is None


def test_only_combinations_that_were_run_everywhere_count() -> None:
    records = [
        r for r in made({"a": (0.1, 0.05), "b": (0.1, 0.05)}) if not (r.setting.dataset == "b" and r.label == "cb")
    ]
    found = over_datasets(group_records(records))
    assert found is not None
    assert [row.label for row in found.rows] == ["mixup", "baseline"]
