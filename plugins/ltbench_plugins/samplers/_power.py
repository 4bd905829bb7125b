"""Draw classes in proportion to a power of their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ltbench import Sampler

if TYPE_CHECKING:
    from torch import Generator, Tensor


class OfClassSizes(Sampler, frozen=True):
    """Draws with replacement: a class with probability proportional to n_c ** `power`, then a uniform image of it."""

    def power(self) -> float:
        """Return the exponent of the class size."""
        raise NotImplementedError

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return as many draws as the pool has images, `int64 [P]`."""
        return draws(pool, labels, lambda sizes: sizes.double() ** self.power(), generator)

    def share(self, counts: Tensor) -> Tensor:
        """Return the share of each class in the draws, float64 [C]; 0 for a class without images."""
        raised = counts.clamp(min=1).double() ** self.power() * (counts > 0)
        return raised / raised.sum()


def draws(pool: Tensor, labels: Tensor, weights: Callable[[Tensor], Tensor], generator: Generator) -> Tensor:
    """Return as many images as the pool has, `int64 [P]`: each a class by its weight, then a uniform image of it.

    weights: sizes of the classes in the pool, int64 [classes], without empty ones -> their weights, float64.
    """
    import torch

    of_pool = labels[pool]
    by_class = pool[of_pool.argsort(stable=True)]
    sizes = of_pool.bincount()
    sizes = sizes[sizes > 0]
    starts = sizes.cumsum(0) - sizes
    drawn = torch.multinomial(weights(sizes), len(pool), replacement=True, generator=generator)
    # float64, as float32 may round a draw up to the size of a large class.
    within = torch.rand(pool.shape, generator=generator, dtype=torch.float64) * sizes[drawn]
    return by_class[starts[drawn] + within.long()]
