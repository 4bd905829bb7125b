"""Repeat factor sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, NotTuned, Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class RepeatFactor(Sampler, frozen=True):
    """Repeat the images of rare classes within an epoch.

    An image of class c is visited `r_c = max(1, sqrt(threshold / f_c))` times per epoch. f_c is the share of class c in
    the training images. Every image is visited at least once per epoch; its fractional part of r_c is rounded at random
    in every epoch: with r_c = 2.4 an image comes three times in 40 % of the epochs and twice in the others. Classes
    above the threshold are visited as by `shuffle`.

    An epoch has the same length every time, the expected one: the number of images that are rounded up is the rounded
    sum of the fractional parts, and systematic sampling in a random order chooses them. So an image is rounded up with
    a probability proportional to its fractional part, which differs from it by a factor of at most 1 +- 1 / (2 sum). An
    epoch is longer than without the sampler; with a number of epochs, a training has more steps.

    `threshold = 0` means 1 / C for C classes, the share of a class in balanced data. The 0.001 of the authors is for
    the 1,230 classes of LVIS v0.5, so close to that. On CIFAR-10-LT at imbalance factor 100 every class is above 0.001,
    and nothing would be repeated.

    Source: Gupta et al., LVIS: A Dataset for Large Vocabulary Instance Segmentation, CVPR 2019 (repeat factor
    sampling), for images with one class each.
    """

    name = "repeat_factor"

    threshold: Annotated[
        float,
        Meta(ge=0, le=1, description="share of the images below which a class is repeated; 0: 1 / number of classes"),
        NotTuned("0 means automatic"),
    ] = 0.0

    def factors(self, counts: Tensor) -> Tensor:
        """Return how often an image of each class is visited per epoch, float64 [C], at least 1. counts: int64 [C]."""
        present = counts.clamp(min=1).double()
        return ((self.threshold or 1 / len(counts)) * counts.sum() / present).sqrt().clamp(min=1)

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return the visits of an epoch in random order, `int64 [M]`, M the rounded sum of the repeat factors."""
        import torch

        visited = pool[torch.randperm(len(pool), generator=generator)]
        factors = self.factors(counts)
        times, sums = factors.floor()[labels[visited]], factors.frac()[labels[visited]].cumsum(0)
        # From class sizes, as the last digits of the running sum depend on the order.
        more = float((labels[pool].bincount(minlength=len(counts)) * factors.frac()).sum().round())
        if more:
            # Systematic sampling: a random start, and a visit more wherever the running sum passes a whole number.
            start = torch.rand((), generator=generator, dtype=torch.float64)
            passed = (sums * (more / sums[-1]) + start).floor().clamp(max=more)
            passed[-1] = more
            times = times + passed.diff(prepend=passed.new_zeros(1))
        repeated = visited.repeat_interleave(times.long())
        return repeated[torch.randperm(len(repeated), generator=generator)]

    def share(self, counts: Tensor) -> Tensor:
        """Return the expected share of each class in the visits, float64 [C]."""
        factors = self.factors(counts)
        more = counts * factors.frac()
        # As in an epoch, the visits more are scaled to a whole number.
        visits = counts * factors.floor() + more * (more.sum().round() / more.sum().clamp(min=1e-12))
        return visits / visits.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [RepeatFactor]
