from __future__ import annotations

import numpy as np
import pytest

from ltbench import Member
from ltbench.errors import ParameterError
from ltbench_plugins.ensembles.stacking import Stacking

COUNTS = [100, 1]


def test_each_model_is_a_member_on_all_images() -> None:
    stacking = Stacking.parse({"models": "efficientnet_b0+efficientnet_b1+efficientnet_b2"})
    assert isinstance(stacking, Stacking)
    assert stacking.members(COUNTS) == [
        Member(model="efficientnet_b0"),
        Member(model="efficientnet_b1"),
        Member(model="efficientnet_b2"),
    ]
    assert stacking.label == "stacking[models=efficientnet_b0+efficientnet_b1+efficientnet_b2]"


def test_without_models_there_are_seeds_of_the_cells_own_of_which_the_first_is_the_plain_training() -> None:
    assert Stacking().members(COUNTS) == [Member(), Member(seed_offset=1), Member(seed_offset=2)]
    assert len(Stacking(size=5).members(COUNTS)) == 5


def test_each_member_counts_the_same() -> None:
    # Report wong, figure 7: the mean of the softmax outputs.
    probabilities = np.array([[[0.6, 0.4], [1.0, 0.0]], [[0.2, 0.8], [0.0, 1.0]]])
    np.testing.assert_allclose(Stacking().merge(probabilities), [[0.4, 0.6], [0.5, 0.5]])
    np.testing.assert_array_equal(Stacking().merge(probabilities[:1]), probabilities[0])


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"models": ("a", "b"), "size": 2}, "not both"),
        ({"models": ("a",)}, "two or more"),
        ({"models": ("a", "b", "a")}, "two or more different"),
        ({"size": 1}, "size"),
    ],
)
def test_what_cannot_be_an_ensemble_is_refused(params: dict, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        Stacking(**params)
