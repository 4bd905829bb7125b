"""Losses of experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench.errors import JobFailed

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Loss, Outputs

NEEDS_EXPERTS: Mapping[str, str] = {"branches": "its experts are the branches of a network"}


def branches_of(loss: Loss, outputs: Outputs, number: int) -> Tensor:
    """Return the logits of the branches, float [number, B, C]; raise `JobFailed` if there is another number of them."""
    branches: Tensor = outputs.branches
    if len(branches) != number:
        raise JobFailed(
            f"loss '{loss.label}' is for {number} experts, but there are {len(branches)}",
            fix=f"experts[n={number}]",
        )
    return branches
