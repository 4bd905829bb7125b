"""Re-weighted random sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class ReweightedSampler(Sampler, frozen=True):
    """Draw images with replacement, with weights that compensate for the class sizes.

    An image of class c has the weight total / (classes * n_c), so that `weight * n_c` is the same for every class. An epoch has as many draws as there are images. The distribution is the same as that of `cb_sampler`, which draws a
    class first and then an image; the individual draws differ.

    Source: report jiang, figure 5 (its formula for the weights) and "Re-weighted Random Sampler".
    """

    name = "reweighted_sampler"

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return as many draws as the pool has images, `int64 [P]`."""
        import torch

        per_class = counts.sum() / (len(counts) * counts.clamp(min=1).double())
        # `torch.multinomial` is limited to 2 ** 24 images, so search in cumulative sums.
        edges = per_class[labels[pool]].cumsum(0)
        drawn = edges.new_empty(len(pool)).uniform_(generator=generator) * edges[-1]
        return pool[torch.searchsorted(edges, drawn, right=True).clamp(max=len(pool) - 1)]

    def share(self, counts: Tensor) -> Tensor:
        """Return equal shares for all classes with images, float64 [C]."""
        present = (counts > 0).double()
        return present / present.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [ReweightedSampler]
