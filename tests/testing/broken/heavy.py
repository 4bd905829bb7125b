"""A loss whose module imports torch."""

from __future__ import annotations

import torch
from testing.broken.marks import breaks

from ltbench import Loss


@breaks("imports_nothing_heavy")
class HeavyLoss(Loss, frozen=True):
    """Cross-entropy by torch itself. Source: none."""

    name = "heavy_loss"

    def per_sample(self, logits, labels, counts):
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")
