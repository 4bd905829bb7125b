"""Exponential decay of class counts."""

from __future__ import annotations

from ltbench import Profile, hookimpl
from ltbench_plugins.profiles._shares import ByRank


class Exp(ByRank, frozen=True):
    """Class counts fall exponentially with the label: `n_c = int(n_max * (1 / IF) ** (c / (C - 1)))`.

    A single class keeps all images. n_max is the class size of a balanced data set; otherwise it is the largest number
    for which every class has enough images. Source: Cao et al., "Learning Imbalanced Datasets with
    Label-Distribution-Aware Margin Loss", NeurIPS 2019, `imbalance_cifar.py`, with identical counts.
    """

    name = "exp"
    baseline = True

    def shares(self, classes: int, imbalance_factor: float) -> list[float]:
        return [(1 / imbalance_factor) ** (rank / max(classes - 1, 1)) for rank in range(classes)]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Exp]
