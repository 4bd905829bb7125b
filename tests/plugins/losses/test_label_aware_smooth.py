from __future__ import annotations

import math

import pytest
import torch

from ltbench.testing import checks
from ltbench_plugins.losses.label_aware_smooth import LabelAwareSmooth

test_it_conforms = checks(LabelAwareSmooth(head=0.3, tail=0), LabelAwareSmooth(shape="convex", off="k"))
COUNTS = torch.tensor([61, 31, 1])
"""The largest class, one half-way between largest and smallest, and the smallest."""


@pytest.mark.parametrize(
    ("shape", "middle"),
    # 0.1 + 0.3 f(1/2), with f = sin(pi/4) = 0.7071, 1/2 and 1 - cos(pi/4) = 0.2929.
    [("concave", 0.312132), ("linear", 0.25), ("convex", 0.187868)],
)
def test_the_share_grows_from_the_rarest_to_the_most_frequent_class(shape: str, middle: float) -> None:
    assert LabelAwareSmooth(shape=shape).shares(COUNTS).tolist() == pytest.approx([0.4, middle, 0.1], rel=1e-5)


def test_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4; shares 0.4 for label 0 and 0.1 for label 2, half of it for each other class.
    logits = torch.tensor([[math.log(2), 0.0, 0.0]]).expand(2, 3)
    losses = LabelAwareSmooth().per_sample(logits, torch.tensor([0, 2]), COUNTS)
    two, four = math.log(2), math.log(4)
    assert losses.tolist() == pytest.approx([0.6 * two + 0.4 * four, 0.9 * four + 0.05 * two + 0.05 * four])
    # As in the authors' code a third of it for each class, the true one included.
    losses = LabelAwareSmooth(off="k").per_sample(logits, torch.tensor([0, 2]), COUNTS)
    mean = (two + 2 * four) / 3
    assert losses.tolist() == pytest.approx([0.6 * two + 0.4 * mean, 0.9 * four + 0.1 * mean])


def test_the_configuration_for_cifar10() -> None:
    loss = LabelAwareSmooth.parse({"head": "0.3", "tail": "0"})
    assert loss.shares(COUNTS).tolist() == pytest.approx([0.3, 0.3 * math.sqrt(0.5), 0])


def test_what_has_no_effect_is_not_part_of_the_name() -> None:
    assert LabelAwareSmooth(head=0.2, tail=0.2, shape="linear").label == "label_aware_smooth[head=0.2,tail=0.2]"
    assert LabelAwareSmooth(head=0, tail=0, shape="linear", off="k").label == "label_aware_smooth[head=0,tail=0]"
