from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from engine.world import Inverse
from torch import Tensor

from ltbench import Loss, Mixed, Moment, Outputs, Weight
from ltbench.engine.objective import count_correct, make_objective
from ltbench.errors import JobFailed
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.label_smooth import LabelSmooth

COUNTS = torch.tensor([4, 2])
LOGITS = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # probabilities 3/4, 1/4 and 1/2, 1/2
IMAGES = torch.zeros(2, 1, 1, 1)
START = Moment(epoch=0, epochs=1, step=0, steps=1)


def objective_of(loss: Loss, weight: Weight | None) -> Callable[[Tensor, Mixed], Tensor]:
    objective = make_objective(loss, weight, COUNTS)
    return lambda logits, batch: objective(outputs(logits), batch, START)


def outputs(*branches: Tensor) -> Outputs:
    """Return the outputs of a network with these logits, one or one of each branch."""
    logits = torch.stack(branches)
    return Outputs(logits=logits.mean(0), branches=logits, features=None, layers=())


def batch(a: list[int], b: list[int] | None = None, lam: list[float] | None = None) -> Mixed:
    labels = torch.tensor(a)
    return Mixed(
        images=IMAGES,
        labels_a=labels,
        labels_b=labels if b is None else torch.tensor(b),
        lam=None if lam is None else torch.tensor(lam),
    )


def test_without_weight_and_mix_it_is_the_mean_loss() -> None:
    objective = objective_of(CrossEntropy(), None)
    assert float(objective(LOGITS, batch([0, 1]))) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_weights_multiply_the_loss_of_each_sample() -> None:
    objective = objective_of(CrossEntropy(), Inverse())
    expected = (math.log(4 / 3) / 4 + math.log(2) / 2) / 2
    assert float(objective(LOGITS, batch([0, 1]))) == pytest.approx(expected)


def test_a_mix_weighs_both_losses_by_their_shares_and_class_weights() -> None:
    objective = objective_of(CrossEntropy(), Inverse())
    first = 0.7 * math.log(4 / 3) / 4 + 0.3 * math.log(4) / 2
    second = math.log(2) / 2
    loss = objective(LOGITS, batch([0, 1], [1, 0], [0.7, 1.0]))
    assert float(loss) == pytest.approx((first + second) / 2)


def test_a_mix_with_shares_of_one_changes_nothing() -> None:
    for loss in (CrossEntropy(), LabelSmooth()):
        blended = objective_of(loss, Inverse())(LOGITS, batch([0, 1], [1, 1], [1.0, 1.0]))
        assert torch.equal(blended, objective_of(loss, Inverse())(LOGITS, batch([0, 1])))


class Normalised(Inverse, frozen=True):
    """A mean that is weighted by the weights."""

    name = "normalised"

    def reduce(self, losses: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return losses.sum() / weights.sum()


def test_a_weight_may_reduce_in_its_own_way() -> None:
    objective = objective_of(CrossEntropy(), Normalised())
    expected = (math.log(4 / 3) / 4 + math.log(2) / 2) / (1 / 4 + 1 / 2)
    assert float(objective(LOGITS, batch([0, 1]))) == pytest.approx(expected)


def test_reduced_with_a_mix_the_weights_are_those_that_were_applied() -> None:
    objective = objective_of(CrossEntropy(), Normalised())
    applied = [0.7 / 4 + 0.3 / 2, 1 / 2]
    losses = [0.7 * math.log(4 / 3) / 4 + 0.3 * math.log(4) / 2, math.log(2) / 2]
    loss = objective(LOGITS, batch([0, 1], [1, 0], [0.7, 1.0]))
    assert float(loss) == pytest.approx(sum(losses) / sum(applied))


def test_a_blended_image_is_right_by_its_shares() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 1.0]])
    plain = Mixed(images=None, labels_a=torch.tensor([0, 0, 0]), labels_b=torch.tensor([0, 0, 0]), lam=None)
    assert float(count_correct(logits, plain)) == 2
    blend = Mixed(
        images=None,
        labels_a=torch.tensor([0, 0, 1]),
        labels_b=torch.tensor([1, 1, 0]),
        lam=torch.tensor([0.75, 0.75, 0.5]),
    )
    assert float(count_correct(logits, blend)) == pytest.approx(0.75 + 0.25 + 0.5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(()), r"float32 \[\]; expected float \[2\]"),
        (torch.zeros(2, 1), r"float32 \[2, 1\]"),
        (torch.zeros(2, dtype=torch.int64), "int64"),
        (0.0, "float;"),
    ],
)
def test_losses_of_a_wrong_shape_raise_and_name_the_loss(value: object, message: str) -> None:
    class Odd(Loss, frozen=True):
        name = "odd"

        def per_sample(self, logits, labels, counts):
            return value

    with pytest.raises(JobFailed, match=message) as failed:
        make_objective(Odd(), None, COUNTS)
    assert "loss 'odd'" in str(failed.value)


@pytest.mark.parametrize(
    "value", [torch.ones(3), torch.tensor([1.0, float("inf")]), torch.tensor([1.0, -1.0]), [1.0, 1.0]]
)
def test_invalid_weights_raise_and_name_the_weight(value: object) -> None:
    class Odd(Weight, frozen=True):
        name = "odd"

        def weights(self, counts):
            return value

    with pytest.raises(JobFailed, match="weight 'odd' returned weights"):
        objective_of(CrossEntropy(), Odd())


def test_a_reduction_to_more_than_a_number_raises() -> None:
    class Odd(Inverse, frozen=True):
        name = "odd"

        def reduce(self, losses, weights):
            return losses

    with pytest.raises(JobFailed, match=r"weight 'odd' returned a reduced loss float32 \[2\]"):
        objective_of(CrossEntropy(), Odd())


def test_with_branches_the_loss_is_the_mean_over_them() -> None:
    flat = torch.zeros(2, 2)
    objective = make_objective(CrossEntropy(), Inverse(), COUNTS)
    expected = ((math.log(4 / 3) + math.log(2)) / 2 / 4 + math.log(2) / 2) / 2
    assert float(objective(outputs(LOGITS, flat), batch([0, 1]), START)) == pytest.approx(expected)


def test_factors_of_the_samples_that_sum_to_one_give_parts_that_sum_to_the_whole() -> None:
    for weight in (None, Inverse(), Normalised()):
        objective = make_objective(CrossEntropy(), weight, COUNTS)
        for given in (batch([0, 1]), batch([0, 1], [1, 0], [0.7, 1.0])):
            parts = [
                objective(outputs(LOGITS), given, START, factor) for factor in torch.tensor([[1.0, 0.0], [0.0, 1.0]])
            ]
            assert float(sum(parts)) == pytest.approx(float(objective(outputs(LOGITS), given, START)))
