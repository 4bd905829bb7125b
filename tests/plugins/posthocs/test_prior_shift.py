from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.posthocs.logit_adjust_posthoc import LogitAdjustPosthoc
from ltbench_plugins.posthocs.prior_shift import PriorShift

COUNTS = np.array([60, 30, 10])
POSTERIOR = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])


def posterior(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits)
    return raised / raised.sum(1, keepdims=True)


def test_a_posterior_that_is_the_prior_becomes_the_test_prior() -> None:
    adjusted = posterior(PriorShift(ratio=1 / 4).adjust(np.log(POSTERIOR), COUNTS))
    # Shares 1/4, 1/2 and 1 of the largest class.
    np.testing.assert_allclose(adjusted[0], [1 / 7, 2 / 7, 4 / 7])


def test_the_posterior_times_the_ratio_of_the_priors_by_hand() -> None:
    adjusted = posterior(PriorShift(ratio=4).adjust(np.log(POSTERIOR), COUNTS))
    weights = np.array([0.2 * (4 / 7) / 0.6, 0.2 * (2 / 7) / 0.3, 0.6 * (1 / 7) / 0.1])
    np.testing.assert_allclose(adjusted[1], weights / weights.sum())


def test_a_uniform_target_is_logit_adjustment() -> None:
    logits = np.log(POSTERIOR)
    expected = posterior(LogitAdjustPosthoc(tau=1).adjust(logits, COUNTS))
    np.testing.assert_allclose(posterior(PriorShift().adjust(logits, COUNTS)), expected)


def test_the_training_prior_as_target_changes_nothing() -> None:
    logits = np.log(POSTERIOR)
    counts = np.array([64, 32, 16])
    unchanged = posterior(PriorShift(ratio=4).adjust(logits, counts))
    np.testing.assert_allclose(unchanged, POSTERIOR)


@pytest.mark.parametrize("ratio", [0.02, 1, 50])
def test_a_class_without_images_stays_finite(ratio: float) -> None:
    assert np.isfinite(PriorShift(ratio=ratio).adjust(np.log(POSTERIOR), np.array([9, 1, 0]))).all()
