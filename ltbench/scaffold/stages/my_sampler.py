"""Sampling between the distribution of the data and a balanced one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Sampler, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MySampler(Sampler, frozen=True):
    """Draw classes in proportion to a power of their number of images: `p_c = n_c ** power / sum_k n_k ** power`.

    `power = 1` is the distribution of the data, `power = 0` the balanced one. Images of a class are equally likely. An
    epoch has as many draws as there are images, with replacement.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_sampler"
    # If the draws change in the course of the training, replace `epoch` by `epoch_at`: docs/stages/sampler.md.

    power: Annotated[
        float, Meta(ge=0, le=1, description="0: class-balanced; 1/2: square root; 1: as in the data"), Tune(0.0, 0.75)
    ] = 0.5

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return as many draws as the pool has images, `int64 [P]`. labels: int64 [N]; counts: int64 [C]."""
        # The probability of an image is that of its class, divided by the images of the class.
        chance = counts.clamp(min=1).double() ** (self.power - 1)
        drawn = chance[labels[pool]].multinomial(len(pool), replacement=True, generator=generator)
        return pool[drawn]

    def share(self, counts: Tensor) -> Tensor:
        """Return the expected share of each class in the draws, float64 [C]; a check compares them."""
        powers = (counts.double() ** self.power) * (counts > 0)
        return powers / powers.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [MySampler]
