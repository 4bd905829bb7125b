from __future__ import annotations

import numpy as np
import torch

from ltbench import LinearClassifier
from ltbench_plugins.heads.norm_free import NormFree
from ltbench_plugins.posthocs.tau_norm import TauNorm

COUNTS = torch.tensor([3, 2])


def test_weights_have_norm_one_and_features_keep_theirs() -> None:
    head = NormFree().build(2, 2, COUNTS)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0, 5.0], [3.0, 4.0]]))
    torch.testing.assert_close(head(torch.tensor([[1.0, 2.0]])), torch.tensor([[2.0, 0.6 + 1.6]]))


def test_it_is_tau_normalisation_with_tau_one() -> None:
    head = NormFree().build(4, 2, COUNTS)
    features = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    raw = (features @ head.weight.T).detach().double().numpy()
    norms = head.weight.norm(dim=1).detach().double().numpy()
    divided = TauNorm(tau=1.0).adjust_linear(raw, COUNTS.numpy(), LinearClassifier(norms, np.zeros(2)))
    np.testing.assert_allclose(head(features).detach().double().numpy(), divided, rtol=1e-5)
