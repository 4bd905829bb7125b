"""Class counts by a power of the rank."""

from __future__ import annotations

import math

from ltbench import Profile, hookimpl
from ltbench_plugins.profiles._shares import ByRank


class Pareto(ByRank, frozen=True):
    """Class counts fall as a power of the rank.

    `n_c = n_max * (c + 1) ** -a` with `a = ln IF / ln C`. The exponent gives the last of C classes n_max / IF images.
    Compared with `exp` at the same imbalance factor, counts fall faster for the first classes, and the tail is longer:
    at factor 100, CIFAR-10 keeps 5000, 1250, 556, ..., 50 images. A single class keeps all images. Counts are rounded
    to the nearest integer. n_max is the class size of a balanced data set; otherwise it is the largest number for which
    every class has enough images.

    Source: Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019, section 4 (subsets by a Pareto
    distribution); here with the exponent that follows from the imbalance factor.
    """

    name = "pareto"

    def shares(self, classes: int, imbalance_factor: float) -> list[float]:
        # (c + 1) ** -a, written so that the share of the last class is exactly 1 / IF.
        return [imbalance_factor ** -(math.log(rank + 1) / math.log(max(classes, 2))) for rank in range(classes)]

    def whole(self, images: float) -> int:
        # Half an image is rounded up, whatever the last digits of the logarithms on this machine.
        return round(images + 1e-6)


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Pareto]
