from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from plugins.experts import COUNTS, LABELS, LOGITS, log_softmax, moment, outputs, term_of

from ltbench_plugins.auxiliaries.ncl_distillation import NclDistillation

BALANCED = LOGITS + np.log([16, 4, 1])


def divergences(logits: np.ndarray) -> float:
    """Return the sum over experts i of the mean over the others j of KL(p_j || p_i), averaged over the images."""
    log_p = log_softmax(logits)
    pairs = itertools.permutations(range(len(logits)), 2)
    return sum((np.exp(log_p[j]) * (log_p[j] - log_p[i])).sum(-1).mean() for i, j in pairs) / (len(logits) - 1)


def test_experts_learn_from_each_other_on_all_and_on_hard_categories() -> None:
    # The hard categories of both images are 0 and 2: see the loss.
    expected = divergences(BALANCED) + divergences(BALANCED[:, :, [0, 2]])
    assert term_of(NclDistillation(hard=0.6), LOGITS) == pytest.approx(expected)
    kept = BALANCED.copy()
    kept[:, :, 1] = 0.0
    expected = divergences(BALANCED) + divergences(kept)
    assert term_of(NclDistillation(hard=0.6, others="zero"), LOGITS) == pytest.approx(expected)


def test_experts_that_agree_have_nothing_to_learn() -> None:
    assert term_of(NclDistillation(), np.repeat(LOGITS[:1], 3, 0)) == pytest.approx(0)


def test_gradients_are_finite_and_reach_every_expert() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    NclDistillation(hard=0.6).term([outputs(logits)], torch.tensor(LABELS), torch.tensor(COUNTS), moment()).backward()
    assert bool(logits.grad.isfinite().all())
    assert (logits.grad.abs().sum((1, 2)) > 0).all()


def test_gradients_flow_through_both_predictions() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    technique = NclDistillation(hard=0.6)
    technique.term([outputs(logits)], torch.tensor(LABELS), torch.tensor(COUNTS), moment()).backward()
    # Of an image of the last expert, which is not asked for the hard categories.
    moved = [LOGITS.copy(), LOGITS.copy()]
    for sign, one in zip((1, -1), moved, strict=True):
        one[2, 0, 0] += sign * 1e-5
    slope = (term_of(technique, moved[0]) - term_of(technique, moved[1])) / 2e-5
    assert logits.grad[2, 0, 0].item() == pytest.approx(slope, rel=1e-6)
