from __future__ import annotations

import itertools

import pytest
from synthetic import boards, record

from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.statistics.aliasing import design_of
from ltbench.leaderboard.statistics.effects import main_effects
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record

A, B, C, D = ("sampler", "cb"), ("mix", "mixup"), ("loss", "smooth"), ("view", "tta")


def fraction() -> list[frozenset[tuple[str, str]]]:
    """Return half of a factorial of four techniques: those with an even number, so that D = ABC."""
    every = (frozenset(c) for n in range(5) for c in itertools.combinations((A, B, C, D), n))
    return [combination for combination in every if len(combination) % 2 == 0]


def records(combinations: list[frozenset[tuple[str, str]]], both: float = 0.0) -> list[Record]:
    """Return runs in which the techniques add 4, 2, 1 and 0 points, and A and B together `both` more."""
    adds = {A: 0.04, B: 0.02, C: 0.01, D: 0.0}
    made = []
    for number, combination in enumerate(combinations):
        for seed in range(3):
            noise = 0.001 * ((7 * number + 3 * seed) % 5 - 2)
            top1 = 0.5 + 0.01 * seed + sum(adds[one] for one in combination) + both * ({A, B} <= combination) + noise
            made.append(record(dict(combination), seed=seed, scores={"top1": top1}))
    return made


def test_a_fraction_of_a_factorial_is_estimated_and_says_what_it_is_aliased_with() -> None:
    found = {e.techniques[0]: e for e in main_effects(ScoreArray.of(records(fraction())))}
    assert {name: round(100 * effect.mean) for name, effect in found.items()} == {
        "cb": 4,
        "mixup": 2,
        "smooth": 1,
        "tta": 0,
    }
    assert found["cb"].separated
    assert found["cb"].contexts == 0
    # In a half fraction of resolution IV a main effect is aliased with no interaction of two techniques.
    assert found["cb"].aliased == ()


def test_a_fraction_of_resolution_three_is_aliased_with_interactions() -> None:
    # Three techniques in four rows, C = AB with the sign turned: each effect is aliased with the interaction of the others.
    quarter = [frozenset({C}), frozenset({A}), frozenset({B}), frozenset({A, B, C})]
    design = design_of(quarter, [True] * 4)
    assert design.aliased == {(A,): [("mixup", "smooth")], (B,): [("cb", "smooth")], (C,): [("cb", "mixup")]}
    text = page(SuiteFacts(name="s"), records(quarter), boards(records(quarter)))
    assert "cb was never varied alone: its effect is estimated by least squares and aliased with" in text
    assert "mixup × smooth" in text
    # What the two add together is taken for an effect of C.
    effects = {e.techniques[0]: e.mean for e in main_effects(ScoreArray.of(records(quarter, both=0.04)))}
    assert effects["smooth"] == pytest.approx(0.01 + 0.02, abs=0.002)


def test_techniques_that_were_only_run_together_have_no_effect_of_their_own() -> None:
    pair = [frozenset(), frozenset({A, B}), frozenset({C})]
    design = design_of(pair, [True] * 3)
    assert design.together == [["cb", "mixup"]]
    assert design.weights == {}
    made = records(pair)
    assert "cb and mixup were not varied independently, so their effects cannot be separated." in page(
        SuiteFacts(name="s"), made, boards(made)
    )


def test_a_technique_in_every_row_cannot_be_estimated() -> None:
    made = records([frozenset({A}), frozenset({A, B})])
    assert design_of([frozenset({A}), frozenset({A, B})], [True, True]).together == [["cb"]]
    assert "cb was not varied independently" in page(SuiteFacts(name="s"), made, boards(made))


def test_a_whole_factorial_has_nothing_to_say() -> None:
    every = [frozenset(c) for n in range(4) for c in itertools.combinations((A, B, C), n)]
    design = design_of(every, [True] * 8)
    assert (design.weights, design.together) == ({}, [])
    assert design_of([], []).together == []
