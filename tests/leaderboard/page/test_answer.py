"""The answer of a page: at most five sentences, which say what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from reports import each_committed_page
from synthetic import COLUMNS, boards, record, suite

from ltbench.leaderboard.page.answer import MOST, answer
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.statistics.analysis import analyse
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.short_labels import shortened
from ltbench.leaderboard.tables.table import make_boards
from ltbench.records.record import Record


def answered(records: list[Record]) -> list[str]:
    return answer(boards(records), analyse(group_records(records)))


def rows(scores: dict[str, tuple[float, ...]], factor: float = 100.0) -> list[Record]:
    return [
        record({"mix": name} if name else {}, factor, seed, {"top1": top1})
        for name, row in scores.items()
        for seed, top1 in enumerate(row)
    ]


@each_committed_page
def test_the_answer_of_a_committed_page_is_short_and_agrees_with_its_table(folder: Path) -> None:
    loaded = load(folder)
    found = answer(
        loaded.boards,
        analyse(group_records(loaded.records, loaded.facts.metric, loaded.columns)),
        loaded.judged_claims,
    )
    assert 2 <= len(found) <= MOST
    assert len(set(found)) == len(found)
    assert all(sentence.endswith(".") and sentence[-2] != "." for sentence in found)
    if len(loaded.boards) > 1:
        bests = {shortened(row.label, b.main_table) for b in loaded.boards for row in b.main_table.rows if row.is_best}
        said = [sentence.split(": the best row is ")[1] for sentence in found if ": the best row is " in sentence]
        assert said
        assert all(any(one.startswith((f"{name} with ", "the baseline with ")) for name in bests) for one in said)
        return
    (board,) = loaded.boards
    best = next(row for row in board.main_table.rows if row.is_best)
    name = shortened(best.label, board.main_table) if best.techniques else "the baseline"
    (said,) = [sentence for sentence in found if sentence.startswith("The best row")] or [""]
    # A long report leaves it out for the verdicts on its claims.
    assert (
        re.match(rf"The best row(, adjusted for missing runs,)? is {re.escape(name)} with ", said) or len(found) == MOST
    )


def test_what_helps_what_hurts_and_what_does_neither_are_told_apart() -> None:
    found = answered(
        rows({
            "": (0.60, 0.62, 0.61), "good": (0.70, 0.721, 0.712), "same": (0.601, 0.619, 0.612), "bad": (0.50, 0.523, 0.512),
        })
    )  # fmt: skip
    start = "good is significantly better than the baseline: +10.1 points of top-1 accuracy (95 % CI +9."
    assert found[0].startswith(start)
    start = "bad is significantly worse than the baseline: −9.8 points of top-1 accuracy (95 % CI −10."
    assert found[1].startswith(start)
    assert found[2].startswith("same does not differ significantly from the baseline (95 % CI ")
    assert found[3].startswith("The best row is good with 71.1 % top-1 accuracy, +10.1 points over the baseline, ")
    assert found[3].endswith("significantly better than every other row.")
    start = (
        r"Each row has 3 pairs of seeds: differences between rows of less than about \d\.\d points are not significant"
    )
    assert re.match(start, found[4])


def test_it_says_from_which_factor_on_a_technique_helps() -> None:
    low = {"": (0.80, 0.81, 0.79), "late": (0.801, 0.809, 0.791), "early": (0.85, 0.861, 0.842)}
    high = {"": (0.60, 0.61, 0.59), "late": (0.70, 0.711, 0.692), "early": (0.601, 0.609, 0.591)}
    (said,) = [
        sentence
        for sentence in answered(rows(low, 10.0) + rows(high, 100.0))
        if sentence.startswith("Two rows are significantly better")
    ]
    late, early = said.index("late +5"), said.index("early +2")
    assert "significant only at imbalance factor 100" in said[late:early]
    assert "significant only at factor 10." in said[early:]
    three = rows(low, 10.0) + rows(high, 100.0) + rows(high, 200.0)
    (said,) = [sentence for sentence in answered(three) if "significantly better than the baseline: " in sentence]
    assert "late +6.7 points of top-1 accuracy" in said
    assert "significant from imbalance factor 100 on" in said


def test_a_factorial_is_answered_by_its_main_effects() -> None:
    found = answered(suite(factors=(10.0, 100.0), seeds=range(4), names=("cb_sampler", "mixup")))
    assert "averaged over the combinations run with and without" in found[0]


def test_what_hurts_only_beside_others_is_said_to_help_without_them() -> None:
    """Two corrections of the same thing: each helps alone, and together they are far too much."""
    scores = {(): 0.60, ("loss",): 0.70, ("posthoc",): 0.69, ("loss", "posthoc"): 0.40}
    found = answered([
        record({stage: f"{stage}_fix" for stage in stages}, 100.0, seed, {"top1": mean + 0.001 * (seed - 1) * (1 + len(stages))})
        for stages, mean in scores.items()
        for seed in range(3)
    ])  # fmt: skip
    assert found[0].startswith("Two techniques hurt, averaged over the combinations run with and without each: ")
    assert found[0].endswith(" But without others, all of them help: loss_fix +10.0 points and posthoc_fix +9.0.")
    assert len(found) <= MOST


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
    assert "adjusted for missing runs" in " ".join(answered(records))
    (board,) = boards(records)
    assert "Order, ranks and Δ are adjusted for the pairs of seeds that a row lacks" in caption(board.tables[0])


def test_nothing_significant_is_an_answer_too() -> None:
    found = answered(rows({"": (0.60, 0.62, 0.61), "same": (0.61, 0.615, 0.605)}))
    assert found[0] == "No row differs significantly from the baseline in top-1 accuracy."


def test_several_boards_have_a_sentence_each() -> None:
    records = [record(seed=seed, dataset=name) for name in ("a", "b", "c", "d", "e", "f") for seed in (0, 1)]
    found = answered(records)
    assert len(found) == MOST
    assert found[0].startswith("a, profile exp, convnet: the baseline is the only row with a number: 70.0 %")
    assert found[3] == "The other 3 boards are below."


def test_several_boards_may_differ_in_runs_and_in_precision() -> None:
    exact = {"": (0.60, 0.62, 0.61), "x": (0.70, 0.721, 0.712)}
    rough = {"": (0.60, 0.62), "x": (0.70, 0.77)}
    records = [
        record({"mix": name} if name else {}, 100.0, seed, {"top1": top1}, dataset=dataset)
        for dataset, scores in {"a": exact, "b": rough}.items()
        for name, row in scores.items()
        for seed, top1 in enumerate(row)
    ]
    sure = answered(records)[-1]
    assert sure.startswith("Rows have 2 or 3 pairs of seeds: differences between rows of less than about ")
    assert "(by board; " in sure


def test_a_change_that_is_reversed_at_another_factor_is_not_called_no_difference() -> None:
    low = {"": (0.80, 0.81, 0.79), "turns": (0.70, 0.711, 0.692), "best": (0.90, 0.911, 0.892)}
    high = {"": (0.60, 0.61, 0.59), "turns": (0.70, 0.711, 0.692), "best": (0.90, 0.911, 0.892)}
    found = answered(rows(low, 10.0) + rows(high, 100.0))
    (said,) = [sentence for sentence in found if sentence.startswith("turns ")]
    assert said.startswith("turns does not differ significantly from the baseline ")
    assert said.endswith(", but is better at imbalance factor 100 and is worse at imbalance factor 10.")
    stronger = rows(low, 10.0) + rows(high | {"turns": (0.80, 0.811, 0.792)}, 100.0)
    (said,) = [sentence for sentence in answered(stronger) if "turns +5" in sentence]
    assert "significant only at factor 100, significantly reversed at factor 10" in said


def test_two_rows_are_compared_in_one_sentence() -> None:
    found = answered(rows({"": (0.60, 0.62, 0.61), "good": (0.70, 0.721, 0.712)}))
    assert found[1] == (
        "The best row is good with 71.1 % top-1 accuracy, significantly better than the baseline with 61.0 %."
    )
    found = answered(rows({"one": (0.60, 0.62, 0.61), "two": (0.61, 0.615, 0.605)}))
    assert found[0].endswith(", not significantly better than two with 61.0 %.")


def test_a_best_row_that_missed_no_hard_seed_is_called_so_in_spite_of_its_plain_mean() -> None:
    found = answered(rows({"": (0.60, 0.62, 0.30), "lucky": (0.55, 0.571)}))
    (said,) = [sentence for sentence in found if sentence.startswith("The best row")]
    assert said.startswith("The best row, adjusted for missing runs, is the baseline with 50.7 % top-1 accuracy, ")
    assert found[-1].startswith("Rows have 2 or 3 pairs of seeds: ")


def test_the_only_row_like_the_best_is_named() -> None:
    scores = {"": (0.60, 0.62, 0.61), "best": (0.70, 0.721, 0.712), "second": (0.70, 0.72, 0.709)}
    (said,) = [sentence for sentence in answered(rows(scores)) if sentence.startswith("The best row")]
    assert said.endswith("significantly better than every other row but second.")


def test_many_long_names_do_not_fill_the_answer() -> None:
    scores = {f"{'long' * 20}{i}": (0.7 + i / 50, 0.721 + i / 50, 0.712 + i / 50) for i in range(4)}
    found = answered(rows({"": (0.60, 0.62, 0.61)} | scores))
    assert found[0].startswith("Four rows are significantly better than the baseline: ")
    assert found[0].endswith("; and 3 more.")


def test_where_low_is_good_less_is_better() -> None:
    records = [
        record({"mix": name} if name else {}, 100.0, seed, {"ece": ece + 0.01 * seed})
        for name, ece in {"": 0.2, "good": 0.1, "bad": 0.3}.items()
        for seed, jitter in enumerate((0, 0.001, 0.002))
        for ece in [ece + jitter * (name == "good")]
    ]
    found = answer(make_boards(records, (), COLUMNS, (), "ece"), analyse(group_records(records, "ece", COLUMNS)))
    assert found[0].startswith("good is significantly better than the baseline: −9.9 points of ECE (95 % CI −10.")
    assert found[1].startswith("bad is significantly worse than the baseline: +10.0 points of ECE ")
    assert ", −9.9 points relative to the baseline, " in found[2]


def test_rows_without_a_number_are_an_answer_too() -> None:
    failed = [record({}, 100.0, seed, error={"type": "E", "message": "m"}) for seed in (0, 1)]
    assert answered(failed) == ["No combination has a number yet."]
    apart = rows({"": (0.6, 0.61)}, 10.0) + rows({"a": (0.6, 0.61)}, 100.0)
    assert answered(apart) == ["No combination has a number at every imbalance factor yet."]


def test_where_each_pair_has_a_variance_of_its_own_the_range_of_what_is_significant_is_given() -> None:
    rng = np.random.default_rng(5)
    noise = {"": 0.002, "steady": 0.002, "rough": 0.03}
    records = [
        record({"mix": name} if name else {}, 100.0, seed, {"top1": 0.6 + float(rng.normal(0, spread))})
        for name, spread in noise.items()
        for seed in range(12)
    ]
    (board,) = boards(records)
    assert board.tables[0].form == "each pair"
    found = answered(records)[-1]
    assert re.search(r"of less than about 0\.\d to [1-4]\.\d points are not significant \(by pair of rows; ", found)


def test_parameters_are_dropped_from_whole_names_only() -> None:
    long = "many_words_in_a_label_that_is_longer_than_forty"
    picked = ("", "ens[a=1]", "dens[a=1]", "dens[a=2]", long)
    (board,) = boards(rows({name: (0.6 + i / 20, 0.62 + i / 20, 0.611 + i / 20) for i, name in enumerate(picked)}))
    assert shortened("ens[a=1] is like dens[a=1].", board.tables[0]) == "ens is like dens[a=1]."


def sharing(*, views: bool) -> list[Record]:
    """Return six rows, one also with a posthoc; with `views` all also with a second view, which changes little."""
    rng, found = np.random.default_rng(0), []
    for row in range(6):
        plain = {"mix": f"m{row}"} if row else {}
        one, others = rng.normal(0.6, 0.01, 3), [plain | {"view": "tta"}] * views + [{"posthoc": "p"}] * (not row)
        for techniques in (plain, *others):
            scores = one + rng.normal(0, 0.002, 3) * (techniques != plain)
            found += [record(techniques, 100.0, seed, {"top1": top1}) for seed, top1 in enumerate(scores.tolist())]
    return found


def test_it_says_how_small_a_difference_can_be_between_rows_that_share_a_training() -> None:
    with_views, without = answered(sharing(views=True))[-1], answered(sharing(views=False))[-1]
    assert re.search(r"less than about (\d\.\d) points are not significant \(down to (\d\.\d) where", with_views)
    wide, narrow = (float(number) for number in re.findall(r"\d\.\d", with_views))
    assert narrow < wide / 2
    # One pair of rows has no variance of its own, so it differs no less than others.
    assert re.search(r"less than about \d\.\d points are not significant \(simultaneous 95 % intervals\)\.", without)
