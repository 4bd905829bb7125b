"""Sampling between the data's own and the balanced distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

LTBENCH_API = 1  # the version of ltbench's hooks that this module is written for


class MySampler(Sampler, frozen=True):
    """A class is as likely as a power of its number of images: `p_c = n_c ** power / sum of those of all classes`.

    With `power = 1` that is the distribution of the data, with 0 every class is as likely as every other. Within its
    class every image is as likely as every other. An epoch has as many draws as there are images, with replacement.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_sampler"

    power: Annotated[float, Meta(ge=0, le=1, description="0: balanced; 1/2: by the square root; 1: as the data")] = 0.5

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return as many draws as the pool has images, `int64 [P]`. labels: int64 [N]; counts: int64 [C]."""
        # An image's chance is its class's over the images of the class.
        chance = counts.clamp(min=1).double() ** (self.power - 1)
        drawn = chance[labels[pool]].multinomial(len(pool), replacement=True, generator=generator)
        return pool[drawn]

    def share(self, counts: Tensor) -> Tensor:
        """Return the share of draws that each class has, float64 [C]; the tests hold the draws against it."""
        powers = (counts.double() ** self.power) * (counts > 0)
        return powers / powers.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [MySampler]
