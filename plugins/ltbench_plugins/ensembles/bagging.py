"""Balanced bagging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Ensemble, Member, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins.ensembles._average import Average

if TYPE_CHECKING:
    import numpy as np

    from ltbench.stages import IntArray


class Bagging(Average, frozen=True):
    """Train one network per bag; a bag has all images of the minority classes and a part of the majority classes.

    There are `n_max // threshold` bags, at least one: 500 // 120 = 4 in the report. The images of majority classes are
    shuffled and divided between the bags, class by class, so that the sizes of bags differ by at most one. The images of
    minority classes are in every bag, and so are those of classes with fewer images than bags. The prediction is the
    mean of the networks' probabilities. A single bag is the plain training.

    `threshold = 0` means a quarter of n_max, rounded up: four bags for any data set, as in the report. `split` defines
    the majority classes:

        median   classes with more images than the median class, as in the report; if there are none (most classes have
                 the same size), classes of the median size
        nearest  classes whose size per bag is closer to the threshold if divided than if copied

    All members have the initial weights of the plain training with the same seed and differ only in their images. Class weights are computed from the counts of the bag.

    Source: report wong, "Ensemble Training: Bagging", figures 5, 6 and 7.
    """

    name = "bagging"

    threshold: Annotated[
        int,
        Meta(ge=0, description="images per class and bag: n_max // threshold bags; 0: a quarter of n_max"),
        NotTuned("decides the number of members"),
    ] = 0
    split: Annotated[
        Literal["median", "nearest"],
        Meta(description="rule that defines the majority classes"),
        Tune("median", "nearest"),
    ] = "median"

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return one member per bag; for a single bag, the plain training."""
        bags = self.bags(counts)
        return [Member(bag=number) for number in range(bags)] if bags > 1 else [Member()]

    def bags(self, counts: Sequence[int]) -> int:
        """Return the number of bags for these class counts."""
        return max(1, max(counts) // self.target(counts))

    def target(self, counts: Sequence[int]) -> int:
        """Return the target number of images per class and bag."""
        return self.threshold or -(-max(counts) // 4)

    def majority(self, counts: Sequence[int]) -> list[int]:
        """Return the majority classes, in label order."""
        bags = self.bags(counts)
        if self.split == "nearest":
            target = self.target(counts)
            dealt = [abs(n / bags - target) < abs(n - target) for n in counts]
        else:
            from statistics import median as median_of

            median = median_of(counts)
            dealt = [n > median for n in counts]
            if not any(dealt):
                dealt = [n == median for n in counts]
        return [label for label, n in enumerate(counts) if dealt[label] and n >= bags]

    def bag(self, number: int, labels: IntArray, rng: np.random.Generator) -> IntArray:
        """Return the indices of bag `number`, sorted, `int64 [M]`. labels: int64 [N]."""
        import numpy as np

        counts = np.bincount(labels).tolist()
        majority = self.majority(counts)
        cards = [rng.permutation(np.flatnonzero(labels == label)) for label in majority]
        dealt = np.concatenate([*cards, np.empty(0, np.int64)])[number :: self.bags(counts)]
        copied = np.flatnonzero(~np.isin(labels, majority))
        return np.sort(np.concatenate([copied, dealt])).astype(np.int64)


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [Bagging]
