"""Ensembles of seeds: `seed_ensemble` and `product`."""

from __future__ import annotations

import numpy as np
import pytest

from ltbench import Member
from ltbench_plugins.ensembles.product import Product
from ltbench_plugins.ensembles.seed_ensemble import SeedEnsemble
from ltbench_plugins.ensembles.stacking import Stacking

COUNTS = [100, 1]
TWO = np.array([[[0.6, 0.3, 0.1]], [[0.2, 0.3, 0.5]]])


@pytest.mark.parametrize("kind", [SeedEnsemble, Product])
def test_the_members_are_seeds_of_which_the_first_is_the_plain_training(kind: type) -> None:
    assert kind(size=3).members(COUNTS) == [Member(), Member(seed_offset=1), Member(seed_offset=2)]
    assert len(kind().members(COUNTS)) == 5


def test_a_deep_ensemble_averages_probabilities() -> None:
    np.testing.assert_allclose(SeedEnsemble().merge(TWO), [[0.4, 0.3, 0.3]])
    np.testing.assert_array_equal(SeedEnsemble(size=2).merge(TWO), Stacking(size=2).merge(TWO))
    assert SeedEnsemble(size=4).members(COUNTS) == Stacking(size=4).members(COUNTS)


def test_a_product_of_experts_is_that_of_the_equation() -> None:
    # 0.6 * 0.2 = 0.12, 0.3 * 0.3 = 0.09, 0.1 * 0.5 = 0.05; their sum is 0.26.
    np.testing.assert_allclose(Product().merge(TWO), [[12 / 26, 9 / 26, 5 / 26]])
    roots = np.sqrt([0.12, 0.09, 0.05])
    np.testing.assert_allclose(Product(merge_by="geometric_mean").merge(TWO), [roots / roots.sum()])


def test_a_geometric_mean_of_softmax_is_the_softmax_of_the_mean_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 7, 4))

    def softmax(values: np.ndarray) -> np.ndarray:
        powers = np.exp(values)
        return powers / powers.sum(-1, keepdims=True)

    merged = Product(merge_by="geometric_mean").merge(softmax(logits))
    np.testing.assert_allclose(merged, softmax(logits.mean(0)))
    np.testing.assert_allclose(Product().merge(softmax(logits)), softmax(logits.sum(0)))


def test_equal_members_are_as_sure_as_one_in_the_geometric_mean_alone() -> None:
    same = np.stack([TWO[0]] * 3)
    np.testing.assert_allclose(Product(merge_by="geometric_mean").merge(same), TWO[0])
    assert Product().merge(same).max() > 0.85 > TWO[0].max()


def test_a_class_that_one_member_excludes_is_excluded_and_no_member_makes_it_undefined() -> None:
    sure = np.array([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]])
    merged = Product(size=2).merge(sure)
    np.testing.assert_allclose(merged[0], [1, 0, 0], atol=1e-9)
    assert np.isfinite(merged).all()
    np.testing.assert_allclose(merged.sum(1), 1)
