"""What a posthoc or a merge does, found by trying it; what was fitted, stored and read again."""

from __future__ import annotations

import numpy as np
import pytest

from ltbench.errors import JobFailed
from ltbench.stages import LinearClassifier
from ltbench.trained_model.adjustments import (
    adjustment_of,
    ensemble_rule,
    restored_state,
    softmax,
    stored_state,
    view_rule,
)
from ltbench.trained_model.calibration import calibrated, fitted_temperature
from ltbench_plugins.ensembles.product import Product
from ltbench_plugins.ensembles.seed_ensemble import SeedEnsemble
from ltbench_plugins.ensembles.single import Single
from ltbench_plugins.posthocs.logit_adjust_posthoc import LogitAdjustPosthoc
from ltbench_plugins.posthocs.tau_norm import TauNorm
from ltbench_plugins.views.identity import Identity
from ltbench_plugins.views.tta import Tta

COUNTS = np.array([60, 30, 10])


def test_logit_adjustment_is_a_shift_by_the_log_prior() -> None:
    found = adjustment_of(lambda logits: LogitAdjustPosthoc(tau=2.0).adjust(logits, COUNTS), 3)
    assert found is not None
    np.testing.assert_allclose(found.scale, [1, 1, 1])
    np.testing.assert_allclose(found.shift, -2 * np.log([0.6, 0.3, 0.1]))


def test_tau_norm_is_a_scale_and_the_bias_that_is_taken_away() -> None:
    classifier = LinearClassifier(np.array([4.0, 2.0, 1.0]), np.array([8.0, -2.0, 3.0]))
    found = adjustment_of(lambda logits: TauNorm(tau=1.0).adjust_linear(logits, COUNTS, classifier), 3)
    assert found is not None
    np.testing.assert_allclose(found.scale, [0.25, 0.5, 1.0])
    np.testing.assert_allclose(found.shift, [-2.0, 1.0, -3.0])


@pytest.mark.parametrize(
    "adjust",
    [
        lambda logits: logits**2,
        lambda logits: logits - logits.mean(1, keepdims=True),
        lambda logits: logits - logits.mean(0),
        lambda logits: logits[:, ::-1],
        lambda logits: np.where(logits > 8, 0, logits),
    ],
)
def test_anything_else_is_no_adjustment_by_class(adjust) -> None:
    assert adjustment_of(adjust, 3) is None


def test_merges_are_known_by_what_they_do() -> None:
    assert view_rule(Identity().merge, 1, 3) == "softmax_mean"
    assert view_rule(Tta().merge, 2, 3) == "softmax_mean"
    assert view_rule(Tta(merge_by="vote").merge, 2, 3) == ""
    assert ensemble_rule(Single().merge, 1, 3) == "mean"
    assert ensemble_rule(SeedEnsemble(size=3).merge, 3, 3) == "mean"
    assert ensemble_rule(Product(size=3).merge, 3, 3) == "product"
    assert ensemble_rule(Product(size=3, merge_by="geometric_mean").merge, 3, 3) == "geometric_mean"
    assert ensemble_rule(lambda given: given.max(0) / given.max(0).sum(1, keepdims=True), 3, 3) == ""


def test_what_was_fitted_is_read_as_it_was_stored() -> None:
    state = {"means": np.eye(3), "present": np.array([True, False]), "tau": 0.5, "more": [None, "x", np.float64(2.0)]}
    arrays: dict[str, np.ndarray] = {}
    plain = stored_state(state, "0.state", arrays, "ncm")
    assert plain == {
        "means": {"array": "0.state.means"}, "present": {"array": "0.state.present"}, "tau": 0.5, "more": [None, "x", 2.0],
    }  # fmt: skip
    again = restored_state(plain, arrays)
    np.testing.assert_array_equal(again["means"], state["means"])
    assert again["present"].dtype == bool
    assert again["more"] == [None, "x", 2.0]


@pytest.mark.parametrize("state", [object(), {"f": len}, {1: 2}, np.array([object()])])
def test_what_cannot_be_stored_is_refused(state: object) -> None:
    with pytest.raises(JobFailed, match="their posthoc is fitted to"):
        stored_state(state, "0", {}, "their posthoc")


def test_the_temperature_undoes_a_scale_of_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    labels = np.array([rng.choice(5, p=row) for row in softmax(logits)])
    assert fitted_temperature(softmax(3 * logits), labels) == pytest.approx(3.0, rel=0.05)
    np.testing.assert_allclose(calibrated(softmax(3 * logits), 3.0), softmax(logits), rtol=1e-9)
    # An overconfident model whose every image is right stays finite.
    assert np.isfinite(fitted_temperature(np.eye(3), np.arange(3)))
