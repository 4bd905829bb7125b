from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest
import synthetic
from error_rates import design_of as shared_design
from error_rates import star_of
from scipy import stats
from synthetic import record

from ltbench.leaderboard.statistics import effects as statistics
from ltbench.leaderboard.statistics.comparisons import compare_rows
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.estimates import estimates
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.records.record import Record
from ltbench.stages import TECHNIQUE_STAGES

CB, MIX, TTA = {"sampler": "cb_sampler"}, {"mix": "mixup"}, {"view": "tta"}
ERROR = {"type": "JobFailed", "message": "boom", "job": "j", "log": "log"}


def main_effects(records: list[Record] | ScoreArray) -> list[Effect]:
    return statistics.main_effects(records if isinstance(records, ScoreArray) else ScoreArray.of(records))


def interactions(records: list[Record] | ScoreArray) -> list[Effect]:
    return statistics.interactions(records if isinstance(records, ScoreArray) else ScoreArray.of(records))


def table(scores: Mapping[str, tuple[float, ...]], factor: float = 100.0) -> list[Record]:
    """Return records of combinations written as `c`, `m`, `t` and their joins; a score for each seed."""
    of = {"c": CB, "m": MIX, "t": TTA}
    return [
        record({k: v for letter in name for k, v in of[letter].items()}, factor, seed, {"top1": top1})
        for name, row in scores.items()
        for seed, top1 in enumerate(row)
    ]


# Accuracy of four combinations at two seeds.
FOUR = {"": (0.50, 0.60), "c": (0.60, 0.68), "m": (0.48, 0.57), "cm": (0.62, 0.71)}


def one(effects: list[Effect], *names: str, factor: float | None = 100.0) -> Effect:
    (found,) = [effect for effect in effects if effect.techniques == names and effect.factor == factor]
    return found


def test_main_effects_worked_by_hand() -> None:
    effects = main_effects(table(FOUR))
    # cb_sampler: seed 0 adds 0.10 without and 0.14 with mixup, mean 0.12; seed 1 0.08 and 0.14, mean 0.11.
    cb = one(effects, "cb_sampler")
    assert (cb.mean, cb.n, cb.contexts, cb.cells) == (pytest.approx(0.115), 2, 2, 4)
    # The residual of rows and seeds has the variances of three contrasts: 0.00005, 0 (mixup) and 0.00005 (both, halved), in the
    # mean 0.0000333 with 3 degrees of freedom; the two effects vary less, so nothing is widened. Half of the interval is
    # t(1 - 0.025 / 2, 3) = 4.1765 times sqrt(0.0000333 / 2) = 0.01705.
    assert (cb.low, cb.high) == (pytest.approx(0.115 - 0.01705, abs=1e-5), pytest.approx(0.115 + 0.01705, abs=1e-5))
    # mixup: seed 0 -0.02 and +0.02, mean 0.00; seed 1 -0.03 and +0.03, mean 0.00.
    assert one(effects, "mixup").mean == pytest.approx(0)


def test_interactions_worked_by_hand() -> None:
    (pair,) = interactions(table(FOUR))
    # seed 0: (0.62 - 0.48) - (0.60 - 0.50) = 0.04; seed 1: (0.71 - 0.57) - (0.68 - 0.60) = 0.06.
    assert pair.techniques == ("cb_sampler", "mixup")
    assert (pair.mean, pair.n, pair.contexts) == (pytest.approx(0.05), 2, 1)
    assert pair.high - pair.mean == pytest.approx(12.706 * 0.014142 / 2**0.5, rel=1e-3)


def test_without_interaction_effects_add_up() -> None:
    adds = {"c": 0.1, "m": -0.03, "t": 0.01}
    names = ["", "c", "m", "t", "cm", "ct", "mt", "cmt"]
    scores = {name: tuple(0.5 + 0.02 * s + sum(adds[x] for x in name) for s in range(3)) for name in names}
    records = table(scores)
    assert [round(effect.mean, 12) for effect in main_effects(records)] == [0.1, -0.03, 0.01]
    assert [round(effect.mean, 12) for effect in interactions(records)] == [0, 0, 0]
    assert {effect.contexts for effect in main_effects(records)} == {4}
    assert {effect.contexts for effect in interactions(records)} == {2}
    # A constant has no spread to be tested against, as for the ranks of a table.
    assert not any(effect.separated for effect in main_effects(records))


def test_a_context_counts_where_both_sides_are_there_for_that_seed() -> None:
    records = [r for r in table(FOUR) if not (r.label == "cb_sampler + mixup" and r.setting.seed == 1)]
    cb = one(main_effects(records), "cb_sampler")
    # Seed 0 has both contexts, mean 0.12; seed 1 only the plain one, 0.08.
    assert (cb.mean, cb.n, cb.contexts, cb.cells, cb.whole) == (pytest.approx(0.10), 2, 2, 3, False)
    (pair,) = interactions(records)
    assert (pair.mean, pair.n, pair.low, pair.p, pair.separated) == (pytest.approx(0.04), 1, None, None, False)


def test_alternatives_of_a_stage_are_compared_with_its_baseline() -> None:
    records = [record({"loss": name} if name else {}, seed=s, scores={"top1": 0.5 + gain + s / 100}) for name, gain in
               (("", 0.0), ("focal", 0.02), ("ldam", 0.05)) for s in range(2)]  # fmt: skip
    effects = main_effects(records)
    assert [(effect.techniques, round(effect.mean, 9)) for effect in effects] == [(("focal",), 0.02), (("ldam",), 0.05)]
    assert interactions(records) == []


def test_a_technique_that_never_has_its_other_side_has_no_effect() -> None:
    records = table({"": (0.5,), "cm": (0.6,)})
    assert main_effects(records) == []
    assert interactions(records) == []
    assert main_effects([]) == []


def test_over_factors_a_seed_counts_where_every_factor_is_there() -> None:
    high, low = table({"": (0.5, 0.6), "c": (0.6, 0.7)}), table({"": (0.8, 0.8), "c": (0.82, 0.86)}, 10.0)
    effects = main_effects([*high, *low])
    assert [effect.factor for effect in effects] == [10.0, 100.0, None]
    # Seed 0: mean of 0.02 and 0.10; seed 1: of 0.06 and 0.10.
    assert effects[2].mean == pytest.approx(0.07)
    less = main_effects([*high, *(r for r in low if r.setting.seed == 0)])
    assert (less[2].n, less[2].mean) == (1, pytest.approx(0.06))


def test_failed_cells_and_undefined_scores_are_not_there() -> None:
    records = [*table(FOUR), record(TTA, seed=0, error=ERROR), record({**TTA, **CB}, seed=0, scores={"top1": None})]
    assert {effect.techniques for effect in main_effects(records)} == {("cb_sampler",), ("mixup",)}


def test_effects_do_not_depend_on_the_order_of_records() -> None:
    records = synthetic.suite(seeds=(0, 1, 2))
    expected = main_effects(records), interactions(records)
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert (main_effects(records), interactions(records)) == expected


def test_effects_are_those_that_made_the_numbers() -> None:
    effects = main_effects(synthetic.suite(factors=(100.0,), seeds=range(8)))
    for name, size in synthetic.EFFECT.items():
        assert one(effects, name).mean == pytest.approx(size, abs=0.005)
        assert one(effects, name).low < size < one(effects, name).high


def made(rng: np.random.Generator, seeds: int, effect: float = 0.0, together: float = 0.0) -> ScoreArray:
    """Return scores of the 8 combinations of three techniques: every effect varies from seed to seed."""
    letters = {"c": ("sampler", "cb"), "m": ("mix", "mixup"), "t": ("view", "tta")}
    names = ["", "c", "m", "t", "cm", "ct", "mt", "cmt"]
    scores = ScoreArray(
        [frozenset(letters[x] for x in name) for name in names], [100.0], [(s, s) for s in range(seeds)]
    )
    # A technique does better with some seeds than with others, in all its contexts alike.
    swing = {x: rng.normal(0, 0.01, seeds) for x in "cmt"}
    for row, name in enumerate(names):
        shared = sum((effect + swing[x] for x in name), np.zeros(seeds))
        shared = shared + together * ("c" in name and "m" in name)
        scores.values[row, 0] = 0.7 + shared + rng.normal(0, 0.004, seeds)
    return scores


def test_the_intervals_of_effects_cover_the_truth_together_in_95_of_100() -> None:
    # 1,500 suites of 8 combinations and 3 seeds, seed 5: three main effects each. Found: 94.7 %.
    rng = np.random.default_rng(5)
    inside = [all(e.low <= 0.02 <= e.high for e in main_effects(made(rng, 3, 0.02))) for _ in range(1500)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_contexts_of_one_seed_taken_for_independent_would_not_cover() -> None:
    # The same, seed 5, were the 12 differences of 4 contexts and 3 seeds taken for 12 runs: found 65 %.
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(500):
        values = {
            name: row[0]
            for name, row in zip(["0", "c", "m", "t", "cm", "ct", "mt", "cmt"], made(rng, 3, 0.02).values, strict=True)
        }
        gaps = np.concatenate(
            [values[on] - values[off] for on, off in (("c", "0"), ("cm", "m"), ("ct", "t"), ("cmt", "mt"))]
        )
        (naive,) = estimates(gaps[None])
        assert naive is not None
        inside.append(abs(naive.mean - 0.02) <= naive.half)
    assert np.mean(inside) < 0.8


def test_where_nothing_works_at_most_one_suite_of_twenty_says_that_something_does() -> None:
    # 600 suites of three techniques without effect and 3 seeds, seed 6; 0.05 plus two standard errors is 0.068.
    # Found: 5.2 % for main effects and 5.2 % for interactions.
    rng = np.random.default_rng(6)
    suites = [made(rng, 3) for _ in range(600)]
    assert np.mean([any(e.separated for e in main_effects(s)) for s in suites]) <= 0.068
    assert np.mean([any(e.separated for e in interactions(s)) for s in suites]) <= 0.068


def test_an_interaction_that_is_there_is_found() -> None:
    rng = np.random.default_rng(9)
    pairs = interactions(made(rng, 6, 0.02, together=0.05))
    assert [(e.techniques, e.separated) for e in pairs[:1]] == [(("cb", "mixup"), True)]
    assert one(pairs, "cb", "mixup").mean == pytest.approx(0.05, abs=0.01)


def test_variances_that_cancel_leave_an_effect_with_that_of_its_own_differences() -> None:
    from ltbench.leaderboard.statistics.effect_variances import EffectSeries, effect_errors

    series = EffectSeries(
        by_run=np.array([0.01, 0.03, 0.02]), contexts=2, cells=6, stages=("mix",), variance=None, df=0.0
    )
    (error,) = effect_errors([series], alone=False)
    assert error is not None
    assert (error.size, error.df) == (pytest.approx(0.01 / 3**0.5), 2)


def test_contexts_on_unlike_machines_do_not_widen_an_effect() -> None:
    # Whichever technique it is: with and without it on one machine, the other context on another with other runs.
    halves = []
    for apart in ("sampler", "mix"):
        rng, records = np.random.default_rng(0), []
        for seed in range(3):
            shifts = rng.normal(0, 0.03, 2)
            for techniques in ({}, {"sampler": "a"}, {"mix": "b"}, {"sampler": "a", "mix": "b"}):
                score = 0.6 + shifts[int(apart in techniques)] + rng.normal(0, 0.003)
                machine = {"python": "3.12", "torch": "2.6" if apart in techniques else "2.5"}
                records.append(record(techniques, 100.0, seed, {"top1": float(score)}, environment=machine))
        (effect,) = statistics.main_effects(ScoreArray.of(records))
        assert effect.high is not None
        halves.append(effect.high - effect.mean)
    assert max(halves) < 0.01


def test_variances_that_nearly_cancel_leave_their_degrees_of_freedom() -> None:
    from ltbench.leaderboard.statistics.effect_variances import variance_of

    # Rows 0 and 1 share a training and vary against each other almost as two trainings do; the same holds for rows 2 and 3.
    rng = np.random.default_rng(2)
    values = 0.6 + rng.normal(0, 0.01, (4, 3))
    found = compare_rows(values, shared_design(4, 3, views=2))
    weights = np.array([0.5, 0.5, -0.5, -0.5])
    variance, df, _ = variance_of(weights, found.variances)
    assert variance is not None
    assert df >= min(freedom for _, freedom in found.variances.of_kind.values())


def test_of_a_kind_with_few_degrees_of_freedom_the_end_counts_that_makes_the_variance_of_an_effect_larger() -> None:
    from ltbench.leaderboard.statistics.effect_variances import variance_of

    # Of twelve rows 0, 4 and 8 share a training, each pair in a way of its own; rows 0 and 4 vary more than the others.
    rng = np.random.default_rng(2)
    values = 0.6 + rng.normal(0, 0.01, (12, 3))
    values[4] += [0.05, 0.0, -0.05]
    found = compare_rows(values, star_of(12, 3, 4)).variances
    assert found.borrowed == {1, 2, 3}
    (other, df), own = found.of_kind[0], float(np.var(values[4] - values[0], ddof=1))
    assert own > other

    def weights(**of: float) -> np.ndarray:
        return np.array([of.get(f"r{row}", 0.0) for row in range(12)])

    # A difference of two rows is that of the table.
    assert variance_of(weights(r8=1, r0=-1), found) == pytest.approx((other, df, True))
    assert variance_of(weights(r4=1, r0=-1), found) == pytest.approx((own, df, True))
    # Row 1 against the mean of rows 0 and 8: (V01 + V81) / 2 - V08 / 4, and V08 may be zero.
    assert variance_of(weights(r1=1, r0=-0.5, r8=-0.5), found) == pytest.approx((other, df, True))
    # Rows 0 and 1 against 8 and 2: (V08 + V02 + V18 + V12 - V01 - V82) / 4, one estimate with the degrees of freedom of one.
    assert variance_of(weights(r0=0.5, r1=0.5, r8=-0.5, r2=-0.5), found) == pytest.approx((other / 2, df, True))
    assert variance_of(weights(r1=1, r2=-1), found) == pytest.approx((other, df, False))


class _Star(ScoreArray):
    """Scores of the baseline, and of so many techniques alone, of which each fourth uses the training of the baseline."""

    def design(self, place: object) -> RowDesign:
        return star_of(len(self.combinations), len(self.runs), 4)


def star(rng: np.random.Generator, rows: int, runs: int, correlation: float) -> ScoreArray:
    stages = [TECHNIQUE_STAGES[row % len(TECHNIQUE_STAGES)] for row in range(rows)]
    names = [frozenset(), *(frozenset({(stages[row], f"t{row}")}) for row in range(1, rows))]
    scores = _Star(names, [100.0], [(seed, seed) for seed in range(runs)])
    own, common = rng.normal(0, 0.01, (rows, runs)), rng.normal(0, 0.01, runs)
    own[::4] = correlation**0.5 * common + (1 - correlation) ** 0.5 * own[::4]
    scores.values[:, 0] = 0.6 + rng.normal(0, 0.05, runs) + own
    return scores


def test_a_technique_of_one_row_has_the_standard_error_of_its_row() -> None:
    # With this seed effects vary no more than the rows say, so nothing is widened.
    scores = star(np.random.default_rng(0), 40, 5, 0.9)
    compared = scores.compared(100.0)
    assert compared.variances.borrowed
    effects = {effect.techniques[0]: effect for effect in main_effects(scores)}
    # By the bound of 39 effects, not of 780 pairs of rows, with the degrees of freedom of rows that share no training.
    variance, df = compared.variances.of_kind[0]
    half = stats.t.ppf(1 - 0.025 / 39, df) * (variance / 5) ** 0.5
    assert [effects[name].high - effects[name].mean for name in ("t1", "t4")] == pytest.approx([half, half])


def test_an_upper_bound_of_a_variance_says_nothing_of_how_effects_vary_between_seeds() -> None:
    from ltbench.leaderboard.statistics.effect_variances import EffectSeries, effect_errors

    # The first varies twice as much as the rows say, the second hardly.
    known = {"contexts": 1, "cells": 3, "variance": 1e-4, "df": 20.0}
    first = EffectSeries(by_run=np.array([0.0, 0.02**0.5 / 10, 0.02**0.5 / 5]), stages=("mix",), **known)
    second = EffectSeries(by_run=np.array([0.010, 0.0101, 0.0102]), stages=("view",), bound=True, **known)
    assert first.own_variance == pytest.approx(2e-4)
    errors = effect_errors([first, second], alone=False)
    assert [(one.size, one.df) for one in errors if one] == [(pytest.approx((2e-4 / 3) ** 0.5), 2.0)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_effects_of_rows_that_share_a_training_err_in_at_most_one_suite_of_twenty(correlation: float) -> None:
    # 500 suites of 39 techniques without effect and 5 seeds; 0.05 plus two standard errors is 0.07. Found: 1 to 3 %.
    rng = np.random.default_rng(7)
    found = [any(e.separated for e in main_effects(star(rng, 40, 5, correlation))) for _ in range(500)]
    assert np.mean(found) <= 0.07
