"""Progressively balanced sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Moment, Sampler, hookimpl
from ltbench_plugins.samplers._power import draws

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Progressive(Sampler, frozen=True):
    """Move from the classes' own shares to class-balanced draws in the course of the training.

    With t / T the part of the training that has ended, class c of C is drawn with probability

        p_c(t) = (1 - t / T) n_c / N + (t / T) / C

    and then a uniform image of it, with replacement. An epoch has as many draws as the subset has images. Probabilities
    change from epoch to epoch; within an epoch they are those of its start, so no epoch is fully balanced.

    A phase of a regime that restarts the schedule begins with the classes' own shares again.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, equation 2.
    """

    name = "progressive"

    def epoch_at(
        self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, moment: Moment, generator: Generator
    ) -> Tensor:
        """Return as many draws as the pool has images, `int64 [P]`."""

        def weights(sizes: Tensor) -> Tensor:
            natural = sizes.double() / sizes.sum()
            return natural.lerp(natural.new_full(natural.shape, 1 / len(sizes)), moment.progress)

        return draws(pool, labels, weights, generator)


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [Progressive]
