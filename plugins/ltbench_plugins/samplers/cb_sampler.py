"""Class-balanced sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class CbSampler(Sampler, frozen=True):
    """Every class is as likely as every other.

    Each draw takes a class uniformly, then an image of that class uniformly, with replacement. That is the
    distribution of a weighted sampler that gives an image of class c the weight 1 / n_c, which is how report schmidt
    writes it. An epoch has as many draws as the subset has images, so it costs what a plain epoch costs: images of
    rare classes come many times, and of frequent classes only a part is seen.

    Classes without an image in the pool are never drawn.

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
        # float64 keeps the draw below the size of the class: float32 rounds up to it in large classes.
        within = torch.rand(pool.shape, generator=generator, dtype=torch.float64) * sizes[drawn]
        return by_class[starts[drawn] + within.long()]

    def share(self, counts: Tensor) -> Tensor:
        """Return the same share for every class that has images, float64 [C]."""
        present = (counts > 0).double()
        return present / present.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [CbSampler]
