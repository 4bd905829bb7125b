"""Curriculum of data augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, Moment, NotTuned, Told, Tune, hookimpl
from ltbench_plugins.augments._curriculum import LEVELS, strengthen

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ltbench.stages import State
    from ltbench.stages.training_context import Predict

_BATCH = 256
"""Images that the network classifies at once."""


class Cuda(Augment, frozen=True):
    """Augment each class as strongly as the network can bear, after the augmentation of the data set.

    Each class has a level L, from 0 to 10. An image is augmented with probability `chance`: L operations of 22, drawn
    uniformly with replacement, each of magnitude L of 30. After each epoch, levels are tested: for each level l from 0 to
    L, the network classifies `tests` * (l + 1) random training images of the class, augmented at level l. If a share of at
    least `accept` of them is right at every level, L rises by one; otherwise it falls by one.

    The test images have no other augmentation, and the levels of the first epoch are 0; the code tests images after crop
    and flip, and before each epoch. It asks for more than `accept`, the paper for at least as much. A test costs (L + 1)
    (L + 2) / 2 times `tests` predictions for each class.

    Source: Ahn et al., CUDA: Curriculum of Data Augmentation for Long-tailed Recognition, ICLR 2023, section 3 and
    algorithm 1; operations and their ranges from its appendix and code.
    """

    name = "cuda"
    follows = True

    chance: Annotated[float, Meta(gt=0, le=1, description="probability that an image is augmented"), Tune(0.3, 0.8)] = (
        0.5
    )
    tests: Annotated[
        int, Meta(ge=1, description="images of a class that test level 0"), NotTuned("decides the cost")
    ] = 10
    accept: Annotated[float, Meta(gt=0, le=1, description="share that must be right at each level"), Tune(0.4, 0.8)] = (
        0.6
    )

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return the level of each class, int64 [C]: 0."""
        import torch

        return {"levels": torch.zeros(classes, dtype=torch.int64)}

    def apply_to(self, images: Tensor, told: Told, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1]."""
        import torch

        chosen = torch.rand(len(images), generator=generator, device=images.device) < self.chance
        return strengthen(images, told.state["levels"][told.labels].where(chosen, 0), generator)

    def probe(
        self, predict: Predict, images: Tensor, labels: Tensor, state: State, moment: Moment, generator: Generator
    ) -> State:
        """Return the levels after a test. images: uint8 [N, channels, size, size]; labels: int64 [N]."""
        import torch

        levels = state["levels"]
        cells = (levels + 1).cumsum(0)  # a cell is a level of a class that is tested
        of_class = torch.arange(len(levels), device=levels.device).repeat_interleave(levels + 1)
        level = torch.arange(len(of_class), device=levels.device) - (cells - levels - 1)[of_class]
        cell = torch.arange(len(of_class), device=levels.device).repeat_interleave(self.tests * (level + 1))
        by_class, sizes = labels.argsort(stable=True), labels.bincount(minlength=len(levels))
        # Classes without training images stay where they are.
        cell = cell[sizes[of_class[cell]] > 0]
        sizes_of = sizes[of_class[cell]]
        within = (
            torch.rand(len(cell), generator=generator, device=levels.device, dtype=torch.float64) * sizes_of
        ).long()
        drawn = by_class[(sizes.cumsum(0) - sizes)[of_class[cell]] + within]
        right = torch.zeros_like(of_class)
        for part in torch.split(torch.arange(len(cell), device=levels.device), _BATCH):
            pictures = strengthen(images[drawn[part]].float().div_(255), level[cell[part]], generator)
            hits = predict(pictures).argmax(1) == labels[drawn[part]]
            right.index_add_(0, cell[part], hits.long())
        failed = right < self.accept * self.tests * (level + 1)
        some = torch.zeros_like(levels).index_add_(0, of_class, failed.long()) > 0
        after = torch.where(some, levels - 1, levels + 1).clamp_(0, LEVELS)
        return {"levels": after.where(sizes > 0, levels)}


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [Cuda]
