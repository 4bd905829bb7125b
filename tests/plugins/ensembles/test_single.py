from __future__ import annotations

import numpy as np
import pytest

from ltbench import Member
from ltbench_plugins.ensembles.single import Single


@pytest.mark.parametrize("counts", [[5, 1], [1] * 1000])
def test_its_member_is_the_plain_training_of_the_cell(counts: list[int]) -> None:
    assert Single().members(counts) == [Member()]


def test_it_changes_no_probability() -> None:
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], size=(1, 20))
    assert np.array_equal(Single().merge(probabilities), probabilities[0])
