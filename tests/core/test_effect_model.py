from __future__ import annotations

import itertools

import numpy as np
import pytest

from ltbench.core.effect_model import EffectModel, estimable


def factorial(names: str) -> list[frozenset[str]]:
    return [frozenset(c) for size in range(len(names) + 1) for c in itertools.combinations(names, size)]


def test_in_a_whole_factorial_an_effect_is_the_mean_with_less_the_mean_without() -> None:
    rows = factorial("abc")
    model = EffectModel(rows, "abc", [("a", "b")])
    assert model.effects == [("a",), ("b",), ("c",), ("a", "b")]
    weights = dict(zip(model.effects, model.weights(), strict=True))
    assert weights["c",] == pytest.approx([0.25 if "c" in row else -0.25 for row in rows])
    # (both - second) - (first - neither), averaged over two rows each.
    assert weights["a", "b"] == pytest.approx([0.5 if ("a" in row) == ("b" in row) else -0.5 for row in rows])
    assert not model.aliased(model.other_pairs()).any()
    assert model.other_pairs() == [("a", "c"), ("b", "c")]


def test_the_weights_recover_what_scores_are_made_of() -> None:
    rng = np.random.default_rng(0)
    rows = [row for row in factorial("abcdef") if rng.random() < 0.5]
    model = EffectModel(rows, "abcdef", [("b", "e")])
    adds = dict(zip("abcdef", (1.0, -2.0, 0.5, 0.0, 3.0, 7.0), strict=True))
    both = np.array([{"b", "e"} <= row for row in rows], dtype=float)
    scores = 10 + np.array([sum(adds[name] for name in row) for row in rows]) + 4 * both
    found = dict(zip(model.effects, model.weights() @ scores, strict=True))
    assert found["b", "e"] == pytest.approx(4.0)
    assert found["a",] == pytest.approx(1.0)
    # Averaged over the rows with and without the partner.
    share = np.mean(["e" in row for row in rows])
    assert found["b",] == pytest.approx(-2.0 + 4 * share)
    assert model.residuals() @ scores == pytest.approx(np.zeros(len(rows)), abs=1e-9)
    assert np.trace(model.residuals()) == pytest.approx(len(rows) - 8)


def test_a_fraction_of_resolution_three_has_half_an_interaction_in_each_effect() -> None:
    # Wu and Hamada, Experiments, section 5.2: with C = AB half of what A and B add together is in C.
    rows = [frozenset("c"), frozenset("a"), frozenset("b"), frozenset("abc")]
    model = EffectModel(rows, "abc")
    shares = dict(zip(model.effects, model.aliased([("a", "b")])[:, 0], strict=True))
    assert shares == {("a",): 0.0, ("b",): 0.0, ("c",): pytest.approx(0.5)}


def test_what_cannot_be_estimated_is_named() -> None:
    together = EffectModel([frozenset(), frozenset("ab"), frozenset("c"), frozenset("abc")], "abc", [("a", "c")])
    assert together.unknown == [("a",), ("b",)]
    # That of a and c is that of b and c as well.
    assert together.aliased([("b", "c")])[together.effects.index(("a", "c"))] == pytest.approx([1.0])
    never = EffectModel([frozenset(), frozenset("a"), frozenset("b")], "ab", [("a", "b")])
    assert never.unknown == [("a", "b")]
    assert never.weights() == pytest.approx(np.array([[-1, 1, 0], [-1, 0, 1]]))
    assert never.other_pairs() == []


def test_ranks_are_exact() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        matrix = rng.integers(0, 2, (12, 6))
        matrix[:, 3] = matrix[:, 0] + matrix[:, 1]
        inverse = np.linalg.pinv(matrix.astype(float))
        resolved = inverse @ matrix
        expected = [bool(np.allclose(resolved[i], np.eye(6)[i])) for i in range(6)]
        assert estimable(matrix) == expected
