"""Plain shuffling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Shuffle(Sampler, frozen=True):
    """Visit every training image once per epoch, in random order.

    The baseline of the stage (instance-balanced sampling). Classes are visited in proportion to their number of images,
    so the head classes dominate every batch.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020, equation 1 with q
    = 1.
    """

    name = "shuffle"
    baseline = True

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return a permutation of the pool, `int64 [P]`."""
        import torch

        return pool[torch.randperm(len(pool), generator=generator)]

    def share(self, counts: Tensor) -> Tensor:
        """Return the share of each class in the images, float64 [C]."""
        return counts.double() / counts.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [Shuffle]
