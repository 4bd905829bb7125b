"""Outputs of experts with fixed numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ltbench import Moment, Outputs

COUNTS = [16, 4, 1]
LOGITS = np.array(
    [
        [[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]],
        [[0.0, 2.0, 1.0], [-1.0, 0.0, 1.0]],
        [[2.0, -1.0, 0.5], [0.0, 1.0, 0.0]],
    ]
)
"""Of three experts, two images, three classes."""
LABELS = [2, 0]


def moment(progress: float = 0.0, epochs: int = 100) -> Moment:
    return Moment(epoch=round(progress * epochs), epochs=epochs, step=round(progress * 1000), steps=1000)


def outputs(logits: np.ndarray | Tensor, features: np.ndarray | None = None, *layers: nn.Module) -> Outputs:
    """Return outputs with these logits [E, B, C] and features [E, B, D]."""
    branches = torch.as_tensor(logits)
    return Outputs(
        logits=branches.mean(0),
        branches=branches,
        features=None if features is None else torch.as_tensor(features),
        layers=layers,
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def cross_entropy(logits: np.ndarray) -> np.ndarray:
    """Return the cross entropy of each image, [B], for the fixed labels."""
    return -log_softmax(logits)[np.arange(len(LABELS)), LABELS]


def loss_of(loss, logits, progress: float = 0.0, **more) -> list[float]:
    counts = torch.tensor(COUNTS)
    return loss.of(outputs(logits, **more), torch.tensor(LABELS), counts, moment(progress)).tolist()


def term_of(auxiliary, logits, progress: float = 0.0, counts: list[int] = COUNTS) -> float:
    one = outputs(logits)
    return float(auxiliary.term([one], torch.tensor(LABELS), torch.tensor(counts), moment(progress)))
