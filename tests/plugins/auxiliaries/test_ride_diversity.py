from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from plugins.experts import COUNTS, LABELS, LOGITS, log_softmax, moment, term_of

from ltbench import Outputs
from ltbench.errors import JobFailed
from ltbench_plugins.auxiliaries.ride_diversity import RideDiversity

PSI = 0.1 * 3 * np.array([16, 4, 1]) / 21 + 0.9


def divergence(log_p: np.ndarray, log_q: np.ndarray) -> float:
    return float((np.exp(log_p) * (log_p - log_q)).sum(-1).mean())


def test_experts_diverge_by_predictions_with_a_lower_temperature_for_rare_classes() -> None:
    log_p = log_softmax(LOGITS / (2 * (PSI + 1 - PSI.max())))
    expected = sum(divergence(log_p[i], log_p[j]) for i, j in itertools.permutations(range(3), 2)) / 2
    assert term_of(RideDiversity(temperature=2, gamma=0.1), LOGITS) == pytest.approx(expected)


def test_in_the_code_of_the_authors_experts_diverge_from_their_mean() -> None:
    temperatures = 2 * PSI / PSI.max()
    log_p, mean = log_softmax(LOGITS / temperatures), log_softmax(LOGITS.mean(0) / temperatures)
    expected = temperatures.mean() ** 2 * sum(divergence(mean, log_p[i]) for i in range(3))
    code = RideDiversity(temperature=2, gamma=0.1, against="mean")
    assert term_of(code, LOGITS) == pytest.approx(expected)


def test_the_mean_gets_no_gradient() -> None:
    # As a leaf of its own: the gradient of the mean of the branches would be zero anyway.
    logits, mean = torch.tensor(LOGITS, requires_grad=True), torch.tensor(LOGITS.mean(0), requires_grad=True)
    one = Outputs(logits=mean, branches=logits, features=None, layers=())
    code = RideDiversity(gamma=0, against="mean")
    code.term([one], torch.tensor(LABELS), torch.tensor(COUNTS), moment()).backward()
    assert mean.grad is None
    # Of KL(p || q), the gradient of the logits of q is q - p; for each of two images.
    p, q = (np.exp(log_softmax(one)) for one in (LOGITS.mean(0), LOGITS))
    assert logits.grad.numpy() == pytest.approx((q - p) / 2)


def test_temperatures_follow_the_counts_from_a_point_of_the_training_on() -> None:
    deferred, plain = RideDiversity(at=0.8), RideDiversity(gamma=0)
    assert term_of(deferred, LOGITS, 0.79) == term_of(plain, LOGITS, 0.79)
    assert term_of(deferred, LOGITS, 0.8) == term_of(RideDiversity(), LOGITS) != term_of(plain, LOGITS)


def test_experts_that_agree_do_not_diverge() -> None:
    assert term_of(RideDiversity(), np.repeat(LOGITS[:1], 3, 0)) == pytest.approx(0)


@pytest.mark.parametrize("at", [0.0, 0.8])
def test_a_temperature_below_zero_is_refused_at_the_start(at: float) -> None:
    # Almost all images are of one of 30 classes: psi = 0.25 * 30 + 0.75 there, and 0.75 elsewhere.
    counts = torch.tensor([5000, *[1] * 29])
    with pytest.raises(JobFailed, match=r"has a temperature of -.* for the rarest class"):
        RideDiversity(gamma=0.25, at=at).learns(4, 30, counts)
    assert RideDiversity(gamma=0.25, at=at, against="mean").learns(4, 30, counts) is None
