from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.posthocs.logit_adjust_posthoc import LogitAdjustPosthoc


def test_by_hand() -> None:
    adjusted = LogitAdjustPosthoc().adjust(np.array([[1.0, 0.0]]), np.array([9, 1]))
    np.testing.assert_allclose(adjusted, [[1 - np.log(0.9), -np.log(0.1)]])
    assert adjusted.argmax() == 1


def test_it_undoes_the_prior_of_a_calibrated_classifier() -> None:
    # p(y | x) = p(x | y) prior / p(x); without the prior the likelihoods 0.2 and 0.6 are left, 1 : 3.
    prior, likelihood = np.array([0.8, 0.2]), np.array([0.2, 0.6])
    posterior = prior * likelihood / (prior * likelihood).sum()
    adjusted = np.exp(LogitAdjustPosthoc().adjust(np.log(posterior)[None], np.array([80, 20])))
    assert adjusted[0, 1] / adjusted[0, 0] == pytest.approx(3)


def test_tau_zero_and_balanced_classes_change_no_decision() -> None:
    logits = np.random.default_rng(0).normal(size=(7, 3))
    np.testing.assert_array_equal(LogitAdjustPosthoc(tau=0).adjust(logits, np.array([5, 2, 1])), logits)
    balanced = LogitAdjustPosthoc().adjust(logits, np.array([4, 4, 4]))
    np.testing.assert_allclose(balanced - logits, np.log(3))
