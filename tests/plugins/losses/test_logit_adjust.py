from __future__ import annotations

import math

import pytest
import torch

from ltbench.planning.combinations import Combination
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.logit_adjust import LogitAdjust
from ltbench_plugins.posthocs.logit_adjust_posthoc import LogitAdjustPosthoc
from ltbench_plugins.samplers.cb_sampler import CbSampler


def test_by_hand() -> None:
    # Equal logits and counts 3, 1 leave the prior: 3/4 and 1/4.
    losses = LogitAdjust().per_sample(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([3, 1]))
    assert losses.tolist() == pytest.approx([-math.log(0.75), -math.log(0.25)])
    # tau = 2: 9/10 and 1/10.
    losses = LogitAdjust(tau=2).per_sample(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([3, 1]))
    assert losses.tolist() == pytest.approx([-math.log(0.9), -math.log(0.1)])


def test_balanced_classes_leave_cross_entropy() -> None:
    logits, labels = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 5
    counts = torch.full((5,), 40)
    expected = CrossEntropy().per_sample(logits, labels, counts)
    torch.testing.assert_close(LogitAdjust(tau=3).per_sample(logits, labels, counts), expected)


def test_the_prior_comes_on_top_of_the_logits_and_not_off_them() -> None:
    # A rare class has the larger loss for the same logits, and a class without images stays finite.
    losses = LogitAdjust().per_sample(torch.zeros(3, 3), torch.arange(3), torch.tensor([90, 10, 0]))
    assert losses[0] < losses[1] < losses[2]
    assert losses.isfinite().all()


def test_a_second_correction_is_noted() -> None:
    notes = Combination((CbSampler(), LogitAdjust(), LogitAdjustPosthoc())).notes
    assert [note.split(":")[0] for note in notes] == [
        "logit_adjust with cb_sampler",
        "logit_adjust with logit_adjust_posthoc",
        "logit_adjust_posthoc with cb_sampler",
    ]
