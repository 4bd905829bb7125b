"""Linear decay of class counts."""

from __future__ import annotations

from ltbench import Profile, hookimpl
from ltbench_plugins.profiles._shares import ByRank


class Linear(ByRank, frozen=True):
    """Class counts fall linearly with the label, from n_max to n_max / IF.

    CIFAR-10 at imbalance factor 10 has 5000, 4500, ..., 500 images. A single class keeps all images. Counts are
    rounded to the nearest integer. Source: report schmidt, figure 4 (a custom long-tailed CIFAR-10).
    """

    name = "linear"

    def shares(self, classes: int, imbalance_factor: float) -> list[float]:
        ratio, last = 1 / imbalance_factor, max(classes - 1, 1)
        return [(1 - rank / last) + ratio * (rank / last) for rank in range(classes)]

    def whole(self, images: float) -> int:
        return round(images)  # as shares are rarely exact in floating point: 3499.9999 images are 3500


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Linear]
