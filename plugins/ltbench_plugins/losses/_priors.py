"""Cross entropy on shifted logits, and the class prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of each sample, float [B]. logits: float [B, C]; labels: int64 [B]."""
    return -logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)


def log_prior(counts: Tensor, like: Tensor) -> Tensor:
    """Return the logarithm of each class's share of the images, [C], in the dtype of `like`.

    A class without images is treated as having one, which keeps the result finite.
    """
    present = counts.clamp(min=1).to(like.dtype)
    return (present / present.sum()).log()
