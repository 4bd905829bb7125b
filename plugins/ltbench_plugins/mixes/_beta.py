"""Draws from a beta distribution, by the generator of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor

_PHILOX = 16
"""Bytes of the state of a generator on a GPU, seed and offset; that of one on the CPU has thousands."""


def draw_beta(alpha: float, size: int, like: Tensor, generator: Generator) -> Tensor:
    """Return draws from Beta(alpha, alpha), float32 [size] on the device of `like`. generator: on that device."""
    if len(generator.get_state()) == _PHILOX:
        # A number for numpy's generator would have to be read from the GPU, which waits for all that it has to do.
        return beta_of_gammas(alpha, size, like, generator)
    import numpy as np
    import torch

    # torch draws Beta only from its global state; numpy is also exact for tiny alpha.
    seed = int(torch.randint(1 << 62, (), generator=generator, device=like.device))
    return like.new_tensor(np.random.default_rng(seed).beta(alpha, alpha, size), dtype=torch.float32)


def beta_of_gammas(alpha: float, size: int, like: Tensor, generator: Generator) -> Tensor:
    """Return draws from Beta(alpha, alpha), float32 [size], as the share of the first of two draws from Gamma(alpha, 1).

    These are made as in Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 26(3), 2000: the
    draw for alpha + 1 times U^(1 / alpha), here as logarithms, because the draws for a tiny alpha are below the smallest float.
    """
    import torch

    shape = like.new_full((2, size), alpha + 1, dtype=torch.float32)
    powers = torch.rand(2, size, generator=generator, device=like.device).clamp_(min=torch.finfo(torch.float32).tiny)
    logs = torch._standard_gamma(shape, generator=generator).log() + powers.log() / alpha  # noqa: SLF001 - torch.distributions draws by it
    return (logs[0] - logs[1]).sigmoid()
