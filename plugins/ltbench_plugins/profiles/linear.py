"""Linear decay of class counts."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench import Profile, hookimpl
from ltbench.longtail import check_imbalance_factor
from ltbench_plugins.profiles._shares import most_frequent


class Linear(Profile, frozen=True):
    """Class counts fall linearly with the label, from n_max to n_max / IF.

    CIFAR-10 at imbalance factor 10 has 5000, 4500, ..., 500 images. A single class keeps all images. Counts are
    rounded to the nearest integer. Source: report schmidt, figure 4 (a custom long-tailed CIFAR-10).
    """

    name = "linear"

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        ratio, last = 1 / check_imbalance_factor(imbalance_factor), max(len(available) - 1, 1)
        shares = [(1 - label / last) + ratio * (label / last) for label in range(len(available))]
        head = most_frequent(available, shares)
        # Rounded, as shares are rarely exact in floating point: 3499.9999 images are 3500.
        return [round(head * share) for share in shares]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Linear]
