"""Direction and size of claims, from records whose differences are known."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import section
from scipy import stats
from synthetic import COLUMNS, identified, raw, record

from ltbench.leaderboard.page.claim_counts import count_claims, counts_text
from ltbench.leaderboard.page.claim_size import LARGER, NO_SIZE, OPPOSITE, SMALLER, WITHIN, size_of
from ltbench.leaderboard.page.claim_verdicts import FAILS, HOLDS, NOT_TESTED, OPEN, UNKNOWN, Verdict, judge
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.tables.table import make_boards
from ltbench.records.record import Record
from ltbench.suite.published import Claim, Reported

BASE = [0.50, 0.52, 0.54, 0.51]
UP, DOWN, MIXED = [0.10, 0.11, 0.09], [-0.10, -0.11, -0.09], [0.10, -0.11, 0.09]
"""Differences: mean 10 points with SD 1, so 4.303 / sqrt(3) = 2.48 points on either side; the same below; no direction."""
STAGES = {"cb_sampler": "sampler", "mixup": "mix", "label_smooth": "loss", "tta": "view"}


def runs(rows: dict[str, list[float]], factor: float = 100.0, **settings: object) -> list[Record]:
    """Return records of the baseline, and of combinations that differ by these numbers, run by run."""
    most = max(map(len, rows.values()))
    made = []
    for label, effects in {"": [0.0] * most, **rows}.items():
        techniques = {STAGES[name]: name for name in label.split(" + ") if name}
        for seed, effect in enumerate(effects):
            scores = {"top1": BASE[seed] + effect, "sd_classes": 0.3 - effect, "tail_third": 0.1 + 2 * effect}
            made.append(record(techniques, factor, seed, scores, **settings))
    return made


def claim(**changes: object) -> Claim:
    return Claim(**({"text": "It helps", "better": ("cb_sampler",)} | changes))


def judged(claims: Claim | list[Claim], made: list[Record], reported: tuple[Reported, ...] = ()) -> list[Verdict]:
    return judge([claims] if isinstance(claims, Claim) else claims, reported, group_records(made))


def number(value: float, *techniques: str, **changes: object) -> Reported:
    return Reported(**({"source": "T", "imbalance_factor": 100, "value": value, "techniques": techniques} | changes))


# --- direction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effects", "changes", "direction"),
    [
        (UP, {}, HOLDS),
        (DOWN, {}, FAILS),
        (MIXED, {}, OPEN),
        ([0.10], {}, OPEN),
        ([0.10, 0.10, 0.10], {}, OPEN),
        (DOWN, {"sign": "-"}, HOLDS),
        (UP, {"sign": "-"}, FAILS),
        (UP, {"sign": "-", "metric": "sd_classes"}, HOLDS),
        (UP, {"metric": "tail_third"}, HOLDS),
        # A printed size changes nothing of the direction.
        (UP, {"at_least": 0.3}, HOLDS),
        (UP, {"difference": 0.9}, HOLDS),
        ([0.001, -0.001, 0.0], {"sign": "=", "within": 0.02}, HOLDS),
        (UP, {"sign": "=", "within": 0.02}, FAILS),
        (MIXED, {"sign": "=", "within": 0.02}, OPEN),
        (UP, {"better": ("mixup",)}, UNKNOWN),
        (UP, {"imbalance_factors": (7.0,)}, UNKNOWN),
        (UP, {"metric": "nothing"}, UNKNOWN),
        (UP, {"model": "resnet32"}, UNKNOWN),
        (UP, {"recipe": {"epochs": 20, "lr": 0.1}}, HOLDS),
        (UP, {"recipe": {"lr": 0.2}}, UNKNOWN),
    ],
)  # fmt: skip
def test_the_direction_holds_where_the_whole_interval_is_on_the_claimed_side(
    effects: list[float], changes: dict[str, object], direction: str
) -> None:
    (one,) = judged(claim(**changes), runs({"cb_sampler": effects}))
    assert one.direction == direction


def test_the_interval_of_a_claim_is_that_of_paired_differences() -> None:
    (one,) = judged(claim(), runs({"cb_sampler": UP}))
    assert one.measured is not None
    assert one.measured.mean == pytest.approx(0.10)
    assert one.measured.half == pytest.approx(0.02484, abs=1e-5)


def test_runs_that_only_one_side_has_do_not_count() -> None:
    made = [r for r in runs({"cb_sampler": UP}) if r.techniques or r.setting.seed != 2]
    (one,) = judged(claim(), made)
    assert one.measured is not None
    assert one.measured.n == 2


def test_a_claim_is_judged_at_each_factor_or_by_their_mean() -> None:
    made = runs({"cb_sampler": UP}) + runs({"cb_sampler": DOWN}, factor=10.0)
    assert [one.direction for one in judged(claim(), made)] == [FAILS, HOLDS]
    assert [one.direction for one in judged(claim(imbalance_factors=(100.0, 500.0)), made)] == [HOLDS, UNKNOWN]
    (pooled,) = judged(claim(pooled=True), made)
    assert (pooled.factor, pooled.direction) == (None, OPEN)
    assert pooled.measured is not None
    assert pooled.measured.mean == pytest.approx(0)


def test_a_claim_about_epochs_is_tested_only_where_the_recipe_counts_them() -> None:
    made = runs({"cb_sampler": UP})
    (tested,) = judged(claim(needs_epochs=True, difference=0.1), made)
    assert (tested.direction, tested.size) == (HOLDS, WITHIN)
    counted = []
    for one in made:
        steps = raw(dict(one.techniques), seed=one.setting.seed, scores=one.metrics)
        recipe = steps["fits"][0]["recipe"]  # type: ignore[index]
        del recipe["epochs"]
        recipe["steps"] = 600
        counted.append(identified(steps))
    (untested,) = judged(claim(needs_epochs=True, difference=0.1), counted)
    assert (untested.direction, untested.size, untested.why_no_size) == (NOT_TESTED, NO_SIZE, NOT_TESTED)
    assert untested.measured is not None
    assert "counts steps" in untested.remark
    (other,) = judged(claim(difference=0.1), counted)
    assert other.direction == HOLDS
    text = section((), [claim(needs_epochs=True)], group_records(counted))
    assert "Direction: 1 is not tested." in text


# --- the best of all ------------------------------------------------------------------------------------------------

CLEAR = {"cb_sampler": [0.300, 0.301, 0.302], "mixup": [0.1001, 0.1003, 0.1002], "tta": [0.050, 0.051, 0.0495]}


def test_the_best_of_all_is_significantly_better_than_each_other_row() -> None:
    (one,) = judged(claim(worse="all"), runs(CLEAR))
    assert (one.direction, one.remark) == (HOLDS, "the best other is mixup")
    assert one.measured is not None
    assert one.measured.mean == pytest.approx(0.301 - 0.1002)
    assert (one.size, one.published) == (NO_SIZE, None)


@pytest.mark.parametrize(
    ("rows", "direction", "remark"),
    [
        ({"cb_sampler": [0.10, 0.1001, 0.1002], "mixup": [0.30, 0.301, 0.302]}, FAILS, "mixup is better"),
        ({"cb_sampler": [0.10, 0.1001, 0.1002], "mixup": [0.09, 0.101, 0.08], "tta": [-0.1, -0.101, -0.1]}, OPEN, "1 of 3 others may be the best"),
        ({"cb_sampler": [0.05, 0.04, 0.06], "mixup": UP, "tta": [0.02, -0.05, 0.04]}, OPEN, "mixup is better, but not significantly"),
        ({"cb_sampler": [0.10]}, OPEN, "one seed"),
        ({"cb_sampler": [-0.10], "mixup": [0.1]}, OPEN, "one seed"),
        ({"mixup": UP}, UNKNOWN, ""),
    ],
)  # fmt: skip
def test_one_row_that_is_as_good_is_enough_against_the_best(
    rows: dict[str, list[float]], direction: str, remark: str
) -> None:
    # In the third case the two differ by 5, 7 and 3 points: p = 0.049 alone, and more among six pairs of rows.
    (one,) = judged(claim(worse="all", imbalance_factors=(100.0,)), runs(rows))
    assert (one.direction, one.remark) == (direction, remark)


def test_the_best_of_all_may_be_the_lowest_and_the_mean_over_factors() -> None:
    made = runs(CLEAR) + runs(CLEAR, factor=10.0)
    (one,) = judged(claim(worse="all", metric="sd_classes", sign="-", pooled=True), made)
    assert (one.direction, one.factor, one.remark) == (HOLDS, None, "the best other is mixup")
    assert one.measured is not None
    assert one.measured.mean == pytest.approx(0.1002 - 0.301)
    (one,) = judged(claim(better=(), worse="all", metric="sd_classes", sign="-", imbalance_factors=(10.0,)), made)
    assert one.direction == FAILS


# --- size -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "half", "published", "size"),
    [
        (0.07, 0.05, 0.10, WITHIN),
        (0.07, 0.05, 0.208, SMALLER),
        (0.07, 0.05, 0.01, LARGER),
        (-0.07, 0.05, 0.05, OPPOSITE),
        (-0.01, 0.05, 0.06, SMALLER),
        (-0.01, 0.05, 0.04, WITHIN),
        (-0.145, 0.01, -0.22, SMALLER),
        (-0.30, 0.01, -0.22, LARGER),
        (0.09, 0.01, -0.17, OPPOSITE),
        (-0.02, 0.05, -0.05, WITHIN),
        (0.03, 0.01, 0.0, LARGER),
        (0.07, 0.05, 0.12, WITHIN),
    ],
)  # fmt: skip
def test_the_printed_difference_is_in_the_interval_or_the_measured_one_is_elsewhere(
    mean: float, half: float, published: float, size: str
) -> None:
    assert size_of(Estimate(mean, 0.01, half, 3), published) == (size, "")


@pytest.mark.parametrize("effects", [UP, DOWN, MIXED], ids=["up", "down", "mixed"])
@pytest.mark.parametrize("published", [0.10, 0.5, 0.01, -0.10])
def test_direction_and_size_are_independent(effects: list[float], published: float) -> None:
    (one,) = judged(claim(difference=published, sign="+" if published > 0 else "-"), runs({"cb_sampler": effects}))
    (bare,) = judged(claim(sign="+" if published > 0 else "-"), runs({"cb_sampler": effects}))
    assert one.direction == bare.direction
    assert (bare.size, bare.why_no_size) == (NO_SIZE, "not printed")
    expected = {
        0.10: (WITHIN, OPPOSITE, WITHIN), 0.5: (SMALLER, OPPOSITE, SMALLER), 0.01: (LARGER, OPPOSITE, WITHIN),
        -0.10: (OPPOSITE, WITHIN, WITHIN),
    }[published]  # fmt: skip
    assert one.size == expected[[UP, DOWN, MIXED].index(effects)]


def test_without_an_interval_there_is_no_size() -> None:
    (one,) = judged(claim(difference=0.1), runs({"cb_sampler": [0.10]}))
    assert (one.direction, one.remark, one.size) == (OPEN, "one seed", NO_SIZE)
    assert one.why_no_size == "one seed: no interval"
    (same,) = judged(claim(difference=0.1), runs({"cb_sampler": [0.1, 0.1, 0.1]}))
    assert (same.size, same.why_no_size) == (NO_SIZE, "the same in every run: no interval")
    (missing,) = judged(claim(difference=0.1, better=("mixup",)), runs({"cb_sampler": UP}))
    assert (missing.size, missing.why_no_size) == (NO_SIZE, UNKNOWN)


def test_a_printed_difference_is_given_or_that_of_the_two_printed_numbers() -> None:
    made = runs({"cb_sampler": UP})
    numbers = (number(0.60), number(0.66, "cb_sampler"))
    (derived,) = judged(claim(), made, numbers)
    assert (derived.published, derived.size) == (pytest.approx(0.06), LARGER)
    assert judged(claim(difference=0.12), made, numbers)[0].published == 0.12
    assert judged(claim(), made, numbers[:1])[0].published is None
    assert judged(claim(metric="tail_third"), made, numbers)[0].published is None
    (least,) = judged(claim(at_least=0.2), made)
    assert (least.published, least.size) == (0.2, SMALLER)
    (low,) = judged(claim(at_least=0.05, sign="-", metric="sd_classes"), made)
    assert (low.published, low.direction, low.size) == (-0.05, HOLDS, LARGER)


def test_printed_numbers_are_those_of_the_settings_of_the_records() -> None:
    made = [*runs({"cb_sampler": UP}), *runs({"cb_sampler": UP}, epochs=40)]
    numbers = tuple(
        number(value, *techniques, recipe={"epochs": epochs})
        for epochs, values in ((20, (0.5, 0.6)), (40, (0.5, 0.9)))
        for value, techniques in zip(values, ((), ("cb_sampler",)), strict=True)
    )
    assert {one.where: one.size for one in judged(claim(), made, numbers)} == {"epochs=20": WITHIN, "epochs=40": SMALLER}  # fmt: skip


# --- counts ---------------------------------------------------------------------------------------------------------


def test_a_comparison_that_several_claims_make_counts_once_with_the_size_that_one_prints() -> None:
    made = runs({"cb_sampler": UP}) + runs({"cb_sampler": UP}, factor=10.0)
    claims = [
        claim(text="better at every factor"),
        claim(text="20 points at 100", imbalance_factors=(100.0,), difference=0.2),
        claim(text="the baseline is worse", better=(), worse=("cb_sampler",), sign="-", imbalance_factors=(100.0,)),
    ]
    verdicts = judged(claims, made)
    assert [one.repeated for one in verdicts] == [False, False, True, True]
    assert [one.size for one in verdicts] == [NO_SIZE, SMALLER, SMALLER, SMALLER]
    assert [one.published for one in verdicts] == [None, 0.2, 0.2, -0.2]
    counts = count_claims(verdicts)
    assert (counts.claims, counts.comparisons, counts.repeated) == (3, 2, 2)
    assert (counts.directions[HOLDS], counts.sizes[SMALLER], counts.sizes[NO_SIZE]) == (2, 1, 1)
    assert counts_text(counts) == (
        "3 claims in 2 comparisons (2 more repeat some of these). Direction: 2 hold. "
        "Size: 1 measured smaller, 1 without a size to judge."
    )


@pytest.mark.parametrize(
    "other",
    [
        {"metric": "tail_third"},
        {"pooled": True},
        {"sign": "=", "within": 0.02},
        {"worse": ("mixup",)},
        {"worse": "all"},
        {"sign": "-"},
        {"imbalance_factors": (10.0,)},
    ],
)  # fmt: skip
def test_what_differs_in_pair_metric_or_setting_is_another_comparison(other: dict[str, object]) -> None:
    rows = {"cb_sampler": UP, "mixup": [0.01, 0.0, 0.02]}
    made = runs(rows) + runs(rows, factor=10.0)
    verdicts = judged([claim(imbalance_factors=(100.0,)), claim(**other)], made)
    # "all" factors have one comparison in common with the first claim where only the factors differ.
    assert not verdicts[1].repeated
    assert len({one.repeated for one in verdicts[1:]}) == 1


def test_no_difference_is_the_same_comparison_either_way_round_and_in_any_order_of_factors() -> None:
    made = runs({"cb_sampler": UP}) + runs({"cb_sampler": UP}, factor=10.0)
    way = {"sign": "=", "within": 0.02, "pooled": True}
    claims = [
        claim(**way, difference=0.1, imbalance_factors=(10.0, 100.0)),
        claim(**way, text="back", better=(), worse=("cb_sampler",), imbalance_factors=(100.0, 10.0, 100.0)),
    ]
    first, second = judged(claims, made)
    assert (first.published, second.published, second.repeated) == (0.1, -0.1, True)
    assert (first.size, second.size) == (WITHIN, WITHIN)


def test_what_no_record_has_is_counted_once_too() -> None:
    verdicts = judged([claim(better=("mixup",)), claim(text="again", better=("mixup",))], runs({"cb_sampler": UP}))
    assert [(one.direction, one.repeated) for one in verdicts] == [(UNKNOWN, False), (UNKNOWN, True)]
    assert counts_text(count_claims(verdicts)).startswith("2 claims in 1 comparison (1 more repeats one of these). ")


# --- beside the table -----------------------------------------------------------------------------------------------


def test_a_claim_is_judged_by_the_interval_of_the_table_that_all_pairs_of_rows_share() -> None:
    # p = 0.04 alone; with three more rows the same difference is not significant.
    weak = [0.02, 0.025, 0.012]
    (alone,) = judged(claim(), runs({"cb_sampler": weak}))
    assert (alone.direction, alone.remark) == (HOLDS, "")
    rows = {"cb_sampler": weak, "mixup": MIXED, "tta": [0.01, -0.01, 0.02], "label_smooth": [0.0, 0.01, -0.02]}
    (among,) = judged(claim(), runs(rows))
    assert (among.direction, among.remark) == (OPEN, "")
    # Another score has intervals of its own, over the same rows.
    (tail,) = judged(claim(metric="tail_third"), runs(rows))
    assert tail.measured is not None
    assert tail.measured.mean == pytest.approx(2 * among.measured.mean)
    assert tail.measured.half == pytest.approx(2 * among.measured.half)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans())
def test_claims_and_table_do_not_contradict_each_other(seed: int, many: int, is_partial: bool) -> None:
    rng = np.random.default_rng(seed)
    names = ["cb_sampler", "mixup", "label_smooth", "tta"][: many - 1]
    scale = rng.choice([0.002, 0.01, 0.05], size=len(names))
    made = runs({name: rng.normal(0.01 * rng.integers(-3, 4), spread, 4).tolist() for name, spread in zip(names, scale, strict=True)})  # fmt: skip
    if is_partial:
        made = [one for one in made if rng.random() > 0.15] or made
    (board,) = make_boards(made, (), COLUMNS)
    table = board.tables[0]
    rows = {row.label: row for row in table.rows}
    candidates = [row.label for row in table.rows if row.like_best]
    for name in [name for name in names if name in rows]:
        (one,) = judged(claim(better=(name,)), made)
        row = rows[name]
        if one.measured is None or row.p is None:
            continue
        assert one.measured == row.delta
        assert row.separated == (one.direction in (HOLDS, FAILS))
        (best,) = judged(claim(better=(name,), worse="all"), made)
        if best.direction in (HOLDS, FAILS):
            assert (best.direction == HOLDS) == (candidates == [name])
            assert (best.direction == FAILS) == (not row.like_best)


def test_runs_of_unlike_machines_are_not_called_paired() -> None:
    made = [
        msgspec.structs.replace(one, environment={**one.environment, "processor_model": "another"})
        if one.techniques else one
        for one in runs({"cb_sampler": UP})
    ]  # fmt: skip
    (one,) = judged(claim(), made)
    assert one.remark.startswith("not paired")
    (board,) = make_boards(made, (), COLUMNS)
    assert one.measured == board.tables[0].rows[0].delta
    assert one.measured.half == pytest.approx(stats.ttest_ind([0.6, 0.63, 0.63], [0.5, 0.52, 0.54], equal_var=False).confidence_interval().high - 0.10)  # fmt: skip


def test_a_page_shows_direction_and_size_of_each_comparison() -> None:
    made = runs({"cb_sampler": UP})
    claims = [claim(text="far better", difference=0.2), claim(text="again"), claim(text="best", worse="all")]
    text = section((), claims, group_records(made), COLUMNS).replace("\u00a0", " ")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[0] == ["claim", "as measured", "where", "reported Δ", "measured Δ", "direction", "size"]
    assert rows[2][2:] == ["IF 100", "+20.0", "+10.0 ± 2.5", "**holds**", "**smaller**"]
    assert rows[3][3:] == ["+20.0", "+10.0 ± 2.5", "**holds** (counted above)", "**smaller**"]
    assert rows[4][1] == "cb_sampler \\> all others, top-1"
    assert rows[4][-2:] == ["**holds** (the best other is baseline)", "not printed"]
    least = section((), [claim(at_least=0.2)], group_records(made), COLUMNS)
    assert "≥\u00a0+20.0" in least
