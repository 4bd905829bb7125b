"""The probability of all classes but the true one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def log_rest(logits: Tensor, labels: Tensor) -> Tensor:
    """Return log(1 - p) of the true class, float [B]; -inf for a single class. logits: float [B, C]; labels: int64 [B].

    In logarithms 1 - p keeps its precision for p close to 1, and its power a finite gradient for an exponent below 1.
    """
    others = logits.scatter(1, labels[:, None], -math.inf)
    return others.logsumexp(1) - logits.logsumexp(1)
