"""The answer of a page: at most five sentences, which say what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from synthetic import boards, record, suite

from ltbench.leaderboard.page.answer import MOST, answer, main_table
from ltbench.leaderboard.publish import folders, load
from ltbench.leaderboard.statistics.analysis import analyse
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.short_labels import shortened
from ltbench.records.record import Record

COMMITTED = folders(Path(__file__).parents[3] / "leaderboards")


def answered(records: list[Record]) -> list[str]:
    return answer(boards(records), analyse(group_records(records)))


def rows(scores: dict[str, tuple[float, ...]], factor: float = 100.0) -> list[Record]:
    return [
        record({"mix": name} if name else {}, factor, seed, {"top1": top1})
        for name, row in scores.items()
        for seed, top1 in enumerate(row)
    ]


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_the_answer_of_a_committed_page_is_short_and_agrees_with_its_table(folder: Path) -> None:
    loaded = load(folder)
    found = answer(
        loaded.boards,
        analyse(group_records(loaded.records, loaded.facts.metric, loaded.columns)),
        loaded.judged_claims(),
    )
    assert 2 <= len(found) <= MOST
    assert len(set(found)) == len(found)
    assert all(sentence.endswith(".") and sentence[-2] != "." for sentence in found)
    (board,) = loaded.boards
    best = next(row for row in main_table(board).rows if row.is_best)
    name = shortened(best.label, main_table(board)) if best.techniques else "the baseline"
    (said,) = [sentence for sentence in found if sentence.startswith("The best row is ")] or [""]
    # A long report leaves it out for the verdicts on its claims.
    assert said.startswith(f"The best row is {name} with ") or len(found) == MOST


def test_what_helps_what_hurts_and_what_does_neither_are_told_apart() -> None:
    found = answered(
        rows({
            "": (0.60, 0.62, 0.61), "good": (0.70, 0.721, 0.712), "same": (0.601, 0.619, 0.612), "bad": (0.50, 0.523, 0.512),
        })
    )  # fmt: skip
    assert found[0].startswith("good helps: +10.1 points of top-1 accuracy (95 % CI +9.")
    assert found[0].endswith(" over the baseline.")
    assert found[1].startswith("bad hurts: −9.8 points of top-1 accuracy (95 % CI −10.")
    assert found[2].startswith("same makes no significant difference (interval ")
    assert found[3].startswith("The best row is good with 71.1 % top-1 accuracy, +10.1 points over the baseline, ")
    assert found[3].endswith("significantly better than every other row.")
    assert re.match(
        r"Each row has 3 pairs of seeds: differences below about \d\.\d points are not significant", found[4]
    )


def test_it_says_from_which_factor_on_a_technique_helps() -> None:
    low = {"": (0.80, 0.81, 0.79), "late": (0.801, 0.809, 0.791), "early": (0.85, 0.861, 0.842)}
    high = {"": (0.60, 0.61, 0.59), "late": (0.70, 0.711, 0.692), "early": (0.601, 0.609, 0.591)}
    (said,) = [
        sentence for sentence in answered(rows(low, 10.0) + rows(high, 100.0)) if sentence.startswith("2 rows help")
    ]
    late, early = said.index("late +5"), said.index("early +2")
    assert "significant only at imbalance factor 100" in said[late:early]
    assert "significant only at imbalance factor 10." in said[early:]
    three = rows(low, 10.0) + rows(high, 100.0) + rows(high, 200.0)
    (said,) = [sentence for sentence in answered(three) if "help" in sentence]
    assert "late +6.7 points of top-1 accuracy" in said
    assert "significant from imbalance factor 100 on" in said


def test_a_factorial_is_answered_by_its_main_effects() -> None:
    found = answered(suite(factors=(10.0, 100.0), seeds=range(4), names=("cb_sampler", "mixup")))
    assert "averaged over all combinations of the others" in found[0]


def test_without_a_test_it_says_so() -> None:
    found = answered([record(), record({"mix": "mixup"}, scores={"top1": 0.9})])
    assert found == [
        "The best row is mixup with 90.0 % top-1 accuracy, +20.0 points over the baseline.",
        "With one pair of seeds no difference can be tested, so the order may be chance.",
    ]
    assert answered([record()]) == ["The baseline is the only row with a number: 70.0 % top-1 accuracy."]
    assert answered([]) == []


def test_it_says_why_there_is_no_test() -> None:
    same = answered(rows({"": (0.60, 0.62, 0.61), "same": (0.60, 0.62, 0.61)}))
    assert same[-1] == (
        "As differences are the same with every pair of seeds, no difference can be tested, so the order may be chance."
    )
    apart = [record(seed=0), record(seed=1), record({"mix": "mixup"}, seed=2), record({"mix": "mixup"}, seed=3)]
    assert answered(apart)[-1].startswith("Without a pair of seeds in common no difference")


def test_a_row_that_lacks_an_easy_seed_is_best_with_the_lowest_mean_and_it_is_said() -> None:
    records = rows({"": (0.50, 0.51, 0.90), "some": (0.51, 0.52, 0.912), "best": (0.55, 0.56, 0.95)})
    records = [one for one in records if (one.label, one.setting.seed) != ("best", 2)]
    assert "The best row is best with 55.5 % top-1 accuracy over 2 of 3 pairs of seeds" in " ".join(answered(records))
    (board,) = boards(records)
    assert "Order, ranks and Δ are adjusted for the pairs of seeds that a row lacks" in caption(board.tables[0])


def test_one_more_row_is_no_plural() -> None:
    better = {name: (0.70 + i / 100, 0.71 + i / 100, 0.722 + i / 100) for i, name in enumerate("abcd")}
    assert answered(rows({"": (0.60, 0.62, 0.61), **better}))[0].endswith(", and 1 more row.")


def test_nothing_significant_is_an_answer_too() -> None:
    found = answered(rows({"": (0.60, 0.62, 0.61), "same": (0.61, 0.615, 0.605)}))
    assert found[0] == "No row differs significantly from the baseline in top-1 accuracy."


def test_several_boards_have_a_sentence_each() -> None:
    records = [record(seed=seed, dataset=name) for name in ("a", "b", "c", "d", "e", "f") for seed in (0, 1)]
    found = answered(records)
    assert len(found) == MOST
    assert found[0].startswith("a, profile exp, convnet: the baseline with 70.0 %")
    assert found[3] == "The other 3 boards are below."
