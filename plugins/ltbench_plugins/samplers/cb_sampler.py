"""Class-balanced sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class CbSampler(Sampler, frozen=True):
    """Draw every class with equal probability.

    Each draw takes a uniform class, then a uniform image of that class, with replacement. This is the distribution of a
    weighted sampler with weight 1 / n_c for images of class c, which report schmidt uses. An epoch has as many draws as
    the subset has images, so it takes as long as a plain epoch: images of rare classes are visited many times, and only
    a part of the images of frequent classes.

    Classes without images in the pool are never drawn.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020, equation 1 with q
    = 0; report schmidt, "Resampling with Class Balanced Sampling".
    """

    name = "cb_sampler"

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return as many draws as the pool has images, `int64 [P]`."""
        import torch

        of_pool = labels[pool]
        by_class = pool[of_pool.argsort(stable=True)]
        sizes = of_pool.bincount()
        sizes = sizes[sizes > 0]
        starts = sizes.cumsum(0) - sizes
        drawn = torch.randint(len(sizes), pool.shape, generator=generator)
        # float64, as float32 may round a draw up to the size of a large class.
        within = torch.rand(pool.shape, generator=generator, dtype=torch.float64) * sizes[drawn]
        return by_class[starts[drawn] + within.long()]

    def share(self, counts: Tensor) -> Tensor:
        """Return equal shares for all classes with images, float64 [C]."""
        present = (counts > 0).double()
        return present / present.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [CbSampler]
