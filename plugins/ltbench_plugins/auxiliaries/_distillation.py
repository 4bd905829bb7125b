"""Soft targets of a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def divergence(logits: Tensor, teacher: Tensor, temperature: float, power: float = 1.0) -> Tensor:
    """Return temperature^2 times the mean Kullback-Leibler divergence from the teacher's predictions, float [].

    Both are softened by the temperature; the teacher's are then raised to a power and normalised. logits: float [E, B, C],
    over whose branches the mean is taken as well; teacher: float [B, C].
    """
    # The power of a softmax, normalised, is the softmax of the power times its logits.
    targets = (power * teacher / temperature).log_softmax(-1)
    predicted = (logits / temperature).log_softmax(-1)
    divergences: Tensor = (targets.exp() * (targets - predicted)).sum(-1)
    return temperature**2 * divergences.mean()
