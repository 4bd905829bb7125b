"""Exponential decay of class counts."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench import Profile, hookimpl
from ltbench.longtail import check_imbalance_factor
from ltbench_plugins.profiles._shares import most_frequent


class Exp(Profile, frozen=True):
    """Class counts fall exponentially with the label: `n_c = int(n_max * (1 / IF) ** (c / (C - 1)))`.

    A single class keeps all images. n_max is the class size of a balanced data set; otherwise it is the largest number
    for which every class has enough images. Source: Cao et al., "Learning Imbalanced Datasets with
    Label-Distribution-Aware Margin Loss", NeurIPS 2019, `imbalance_cifar.py`, with identical counts.
    """

    name = "exp"
    baseline = True

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        ratio, last = 1 / check_imbalance_factor(imbalance_factor), max(len(available) - 1, 1)
        shares = [ratio ** (label / last) for label in range(len(available))]
        head = most_frequent(available, shares)
        return [int(head * share) for share in shares]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Exp]
