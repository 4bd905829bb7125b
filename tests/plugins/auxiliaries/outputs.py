"""Outputs on fixed tensors, and contrastive terms in plain numpy, one pair at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ltbench import Auxiliary, Moment, Outputs

NOW = Moment(epoch=0, epochs=2, step=3, steps=10)


def views_of(
    *features: Tensor, classes: int = 3, own: nn.Module | None = None, state: dict | None = None
) -> list[Outputs]:
    """Return the outputs of each view; features: float [B, D] or [E, B, D]."""
    torch.manual_seed(0)
    branches = [part if part.dim() == 3 else part[None] for part in features]
    layers = tuple(nn.Linear(branches[0].shape[2], classes) for _ in branches[0])
    outputs = []
    for part in branches:
        logits = torch.stack([layer(rows) for layer, rows in zip(layers, part, strict=True)])
        outputs.append(
            Outputs(logits=logits.mean(0), branches=logits, features=part, layers=layers, own=own or nn.Identity(), state=state or {})
        )  # fmt: skip
    return outputs


def features(number: int, width: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(number, width, generator=torch.Generator().manual_seed(seed))


def unit(rows: Tensor) -> np.ndarray:
    """Return rows of norm 1 as float64."""
    array = rows.detach().double().numpy()
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def contrast(rows: np.ndarray, positives: list[list[int]], temperature: float) -> float:
    """Return the mean over views of the mean over their positives of -log softmax over all other views."""
    losses = []
    for i, mine in enumerate(positives):
        if mine:
            total = sum(np.exp(rows[i] @ rows[a] / temperature) for a in range(len(rows)) if a != i)
            losses.append(np.mean([-np.log(np.exp(rows[i] @ rows[p] / temperature) / total) for p in mine]))
    return float(np.mean(losses))


def of_class(labels: list[int]) -> list[list[int]]:
    """Return the other views of the class of each view."""
    return [[j for j, other in enumerate(labels) if other == label and j != i] for i, label in enumerate(labels)]


def term_of(technique: Auxiliary, views: list[Outputs], labels: Tensor | list[int], counts: Tensor) -> float:
    """Return the term as a number."""
    return float(technique.term(views, torch.as_tensor(labels), counts, NOW).detach())
