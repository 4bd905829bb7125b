"""Softmax of numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.stages import FloatArray


def softmax(logits: FloatArray) -> FloatArray:
    """Return the softmax over the last axis; large logits do not overflow."""
    import numpy as np

    raised: FloatArray = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities: FloatArray = raised / raised.sum(-1, keepdims=True)
    return probabilities
