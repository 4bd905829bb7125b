from __future__ import annotations

import pytest
from synthetic import boards, record, suite

from ltbench.leaderboard.page.terminal import leaderboard_text, wrap_label
from ltbench.leaderboard.suite_facts import SuiteFacts

RECORDS = suite(factors=(10.0, 50.0, 100.0), seeds=(0, 1, 2))
FACTS = SuiteFacts(name="quick", title="Quick")


def shown(records, width: int) -> str:
    return leaderboard_text(FACTS, records, boards(records), width)


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_every_line_fits_and_rank_name_score_and_difference_are_there(width: int) -> None:
    text = shown(RECORDS, width)
    assert max(map(len, text.splitlines())) <= width
    heads = [line.split() for line in text.splitlines() if line.strip().startswith("rank")]
    assert len(heads) == 4
    for head in heads:
        assert {"rank", "techniques", "Δ"} <= set(head)
        assert {"top-1", "mean"} & set(head)


def test_what_is_the_same_in_every_row_is_said_once() -> None:
    text = shown(RECORDS, 160)
    assert "imbalance factor 50  3 runs each" in text
    assert not any(" n " in line for line in text.splitlines() if line.startswith("rank"))
    less = [r for r in RECORDS if not (r.label == "tta" and r.setting.seed == 2)]
    assert "2/3" in shown(less, 160)


def test_a_column_without_a_number_is_left_out() -> None:
    heads = [line.split() for line in shown(RECORDS, 200).splitlines() if line.strip().startswith("rank")]
    assert [("few" in head) for head in heads] == [False, False, True, True]


def test_names_are_cut_between_techniques() -> None:
    assert wrap_label("cb_sampler + mixup + label_smooth + tta", 22) == "cb_sampler + mixup\n  + label_smooth + tta"
    assert wrap_label("mixup", 22) == "mixup"
    long = wrap_label("a_very_long_technique[of=many,parameters=1] + tta", 20)
    assert max(map(len, long.splitlines())) <= 20
    assert long.replace("\n", "").replace(" ", "") == "a_very_long_technique[of=many,parameters=1]+tta"


def test_no_record_and_a_single_failed_one_are_no_traceback() -> None:
    assert "no results yet" in shown([], 80)
    assert "FAILED" in shown([record(error={"type": "E", "message": "boom"})], 80)
