"""Random shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor


def beta(alpha: float, number: int, generator: Generator, device: torch.device) -> Tensor:
    """Return draws from Beta(alpha, alpha), float32 [number]. generator: on the device."""
    import numpy as np
    import torch

    # torch draws Beta only from its global state; numpy is also exact for tiny alpha.
    seed = int(torch.randint(1 << 62, (), generator=generator, device=device))
    drawn = np.random.default_rng(seed).beta(alpha, alpha, number)
    return torch.as_tensor(drawn, dtype=torch.float32).to(device)
