from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltbench.confusion import Confusion
from ltbench.costs import cost_rules, mean_cost
from ltbench.errors import UnknownName, UsageError
from ltbench.stages import Predicted
from ltbench_plugins.posthocs.min_cost import MinCost
from ltbench_plugins.posthocs.prior_shift import PriorShift

CLASSES = ("mole", "cancer", "wart")
COUNTS = np.array([100, 10, 50])


def logits_of(probabilities: object) -> np.ndarray:
    return np.log(np.asarray(probabilities, dtype=np.float64))


def adjusted(technique: MinCost, logits: np.ndarray, classes: tuple[str, ...] = CLASSES) -> np.ndarray:
    return technique.adjust_with(None, Predicted(logits=logits, classes=classes), COUNTS, None)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_numbers_are_those_of_the_equation() -> None:
    # Missing a cancer costs 10, every other error 1: deciding mole costs 0.2 * 10 + 0.1, cancer 0.7 + 0.1, wart 0.7 + 2.
    logits = adjusted(MinCost(costs="cancer>*:10", prior="train"), logits_of([[0.7, 0.2, 0.1]]))
    assert np.exp(logits[0]) == pytest.approx([10 - 2.1, 10 - 0.8, 10 - 2.7])
    assert logits.argmax() == 1
    # Without the costs the decision is another one.
    assert adjusted(MinCost(prior="train"), logits_of([[0.7, 0.2, 0.1]])).argmax() == 0


def test_with_equal_costs_it_is_the_softmax_and_the_shift_to_balanced_classes() -> None:
    logits = np.random.default_rng(1).normal(size=(50, 3)) * 3
    for costs in ("*>*:1", "*>*:7"):
        assert softmax(adjusted(MinCost(costs=costs, prior="train"), logits)) == pytest.approx(softmax(logits))
        shifted = softmax(PriorShift().adjust(logits, COUNTS))
        assert softmax(adjusted(MinCost(costs=costs), logits)) == pytest.approx(shifted)


def test_costs_that_depend_on_the_true_class_alone_weight_the_posterior() -> None:
    # Elkan: deciding for the largest c_t p_t.
    logits = np.random.default_rng(2).normal(size=(200, 3))
    technique = MinCost(costs="mole>*:1+cancer>*:8+wart>*:3", prior="train")
    assert (adjusted(technique, logits).argmax(1) == (softmax(logits) * [1, 8, 3]).argmax(1)).all()


def test_no_decision_rule_is_cheaper_on_images_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(3), 20_000)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    text = "cancer>*:10+mole>cancer:2+wart>mole:0.5+mole>mole:-0.2"

    def cost(decisions: np.ndarray) -> float:
        confusion = np.zeros((3, 3), dtype=int)
        np.add.at(confusion, (labels, decisions), 1)
        found = mean_cost(Confusion.of_rows(confusion), CLASSES, f"expected_cost[costs={text}]")
        assert found is not None
        return found

    best = cost(adjusted(MinCost(costs=text, prior="train"), logits_of(probabilities)).argmax(axis=1))
    assert best < cost(probabilities.argmax(axis=1)) - 0.1
    for weights in ([1, 2, 1], [1, 5, 1], [1, 10, 1], [1, 30, 1]):
        assert best <= cost((probabilities * weights).argmax(axis=1)) + 1e-12


def test_the_costs_of_a_file_are_what_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("x,mole,cancer,wart\nmole,0,1,1\ncancer,10,0,10\nwart,1,1,0\n")
    technique = MinCost(costs=str(tmp_path / "c.csv"))
    assert technique.params == {"costs": "*>*:none+mole|wart>*:1+cancer>*:10"}
    assert MinCost(**technique.params) == technique
    assert cost_rules(technique.costs, CLASSES).matrix().tolist() == [[0, 1, 1], [10, 0, 10], [1, 1, 0]]
    with pytest.raises(UnknownName, match="unknown class 'cancer'"):
        technique.check_classes(("mole", "canker", "wart"))
    with pytest.raises(UsageError, match="cannot be read"):
        MinCost(costs="cancer:10")


def test_extreme_logits_stay_finite() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [700.0, -700.0, 1.0]])
    assert np.isfinite(adjusted(MinCost(costs="cancer>*:1e6"), logits)).all()


def test_it_is_found_by_costs_for_natural_and_for_balanced_test_images() -> None:
    assert [one.label for one in MinCost.by_costs("cat>dog:5")] == [
        "min_cost[costs=cat>dog:5,prior=train]", "min_cost[costs=cat>dog:5]"
    ]  # fmt: skip
