"""Softmax over the last axis, of numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.stages import FloatArray


def softmax(logits: FloatArray) -> FloatArray:
    """Return probabilities, float of the same shape; logits of any size are safe."""
    import numpy as np

    raised: FloatArray = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities: FloatArray = raised / raised.sum(-1, keepdims=True)
    return probabilities
