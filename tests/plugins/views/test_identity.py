from __future__ import annotations

import numpy as np
import pytest
import torch

from ltbench_plugins.views.identity import Identity


def test_the_only_view_is_the_image_as_it_is() -> None:
    images = torch.rand(2, 3, 4, 4)
    assert list(Identity().views()) == ["identity"]
    assert Identity().views()["identity"](images) is images


def test_probabilities_by_hand() -> None:
    merged = Identity().merge(np.log([[[2.0, 1.0, 1.0]]]))
    assert merged.tolist() == [pytest.approx([0.5, 0.25, 0.25])]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_any_size_are_safe(dtype: type) -> None:
    merged = Identity().merge(np.array([[[1e4, 0.0, -1e4], [-3e4, -3e4, -1e30]]], dtype))
    assert merged.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]


def test_a_thousand_classes_sum_to_one() -> None:
    logits = np.random.default_rng(0).normal(size=(1, 50, 1000)).astype(np.float32)
    assert Identity().merge(logits).sum(1) == pytest.approx(1, abs=1e-5)
