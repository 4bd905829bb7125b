"""Balancing of the training subset before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, NotTuned, Sampler, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class ArtificialBalance(Sampler, frozen=True):
    """Copy or drop images once, before training, so that all classes have the same number of images.

    The sampling rate of a class is `threshold / count`. A class with more images than the threshold keeps a random subset
    (rate below 1). In a smaller class each image is copied, and a random subset once more: a rate of 2.4 gives two
    copies of each image and a third one of a random 40 %. All classes end with exactly `threshold` images. The set is
    drawn once per training, and an epoch is a permutation of it. Unlike with other samplers, dropped images are never
    seen.

    `threshold = 0` means the rounded mean class count, so that epochs are as long as without the technique.

    The report writes the rate as `threshold // count`, with the examples 300 / 500 = 0.6 and 300 / 100 = 3. Integer
    division cannot give 0.6, and would give a class of 139 images 278 instead of 300; the rates here are exact.

    Source: report wong, "Artificial Balancing" and figure 3.
    """

    name = "artificial_balance"

    threshold: Annotated[
        int,
        Meta(ge=0, description="images of each class after balancing; 0: the mean class count"),
        NotTuned("0 means automatic"),
    ] = 0

    def pool(self, labels: Tensor, counts: Tensor, generator: Generator) -> Tensor:
        """Return the balanced training set, `int64 [C * threshold]`, class by class."""
        import torch

        target = self.threshold or max(1, round(len(labels) / len(counts)))
        balanced = []
        for label in range(len(counts)):
            images = (labels == label).nonzero().squeeze(1)
            if not len(images):
                continue
            copies, rest = divmod(target, len(images))
            some = images[torch.randperm(len(images), generator=generator)[:rest]]
            balanced += [images.repeat(copies), some]
        return torch.cat(balanced)

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return a permutation of the balanced set, `int64 [P]`."""
        import torch

        return pool[torch.randperm(len(pool), generator=generator)]

    def share(self, counts: Tensor) -> Tensor:
        """Return equal shares for all classes with images, float64 [C]."""
        present = (counts > 0).double()
        return present / present.sum()


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [ArtificialBalance]
