"""Logits of very many classes are stored in half the space, and the class of the largest one stays what it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from ltbench.engine.stored_logits import stored_parts
from ltbench.errors import JobFailed
from ltbench.jobs.prediction_file import WHOLE, read_prediction

CLASSES = WHOLE + 1


def read(logits: torch.Tensor, classes: int = CLASSES) -> np.ndarray:
    """Return logits [E, N, C] as a cell reads them after they were stored."""
    name = "branches" if len(logits) > 1 else "logits"
    parts = {f"{name}{part}": found if len(logits) > 1 else found[0] for part, found in stored_parts(logits).items()}
    content = save({**parts, "labels": torch.zeros(logits.shape[1], dtype=torch.int64)})
    return read_prediction(content, "key", classes, branched=len(logits) > 1).logits


def test_few_classes_are_stored_bit_by_bit() -> None:
    logits = torch.randn(1, 5, WHOLE)
    assert stored_parts(logits)[""] is logits
    assert (read(logits, WHOLE) == logits.double().numpy()).all()


def test_many_classes_take_half_the_space_and_lose_what_is_said() -> None:
    logits = torch.randn(2, 50, 8142) * 8
    parts = stored_parts(logits)
    size = sum(part.numel() * part.element_size() for part in parts.values())
    assert size == logits.numel() * 2 + 100 * 4
    exact, found = logits.double().numpy(), read(logits, 8142)
    below = exact.max(-1, keepdims=True) - exact
    assert (abs(found - exact) <= below / 2048 + 1e-6).all()
    assert (found.max(-1) == exact.max(-1)).all()


rows = st.lists(
    st.one_of(
        st.floats(-1e6, 1e6, width=32),
        st.floats(-1, 1, width=32),
        st.sampled_from([0.5, 0.5 - 2**-25, 8.0, 8.0 - 2**-21, 1e-8, 2e-8, 0.0, -0.0, 1e-40]),
    ),
    min_size=3, max_size=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(rows)
def test_the_predicted_class_and_its_ties_stay(row: list[float]) -> None:
    logits = torch.full((1, 1, CLASSES), min(row), dtype=torch.float32)
    logits[0, 0, 10 : 10 + len(row)] = torch.tensor(row, dtype=torch.float32)
    found, exact = read(logits)[0, 0], logits[0, 0].numpy()
    assert found.argmax() == exact.argmax()
    assert ((found == found.max()) == (exact == exact.max())).all()
    assert np.isfinite(found).all()


def test_likelihoods_and_probabilities_are_hardly_changed() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 400, 1000) * 4, np.arange(400)
    exact, found = logits[0].double().log_softmax(1), torch.from_numpy(read(logits, 1000)[0]).log_softmax(1)
    assert abs(float((exact - found)[labels, labels].mean())) < 1e-3
    assert float((exact.exp() - found.exp()).abs().max()) < 1e-3


def test_damaged_parts_are_refused() -> None:
    parts = {f"logits{part}": found[0] for part, found in stored_parts(torch.randn(1, 4, CLASSES)).items()}
    labels = torch.zeros(4, dtype=torch.int64)
    parts["logits.below"][0, 0] = float("inf")
    with pytest.raises(JobFailed, match="expected finite"):
        read_prediction(save({**parts, "labels": labels}), "key", CLASSES, branched=False)
    del parts["logits.top"]
    with pytest.raises(JobFailed, match="cannot be read"):
        read_prediction(save({**parts, "labels": labels}), "key", CLASSES, branched=False)
