"""Exponential decay that reaches 1 / IF one class after the last."""

from __future__ import annotations

from ltbench import Profile, hookimpl
from ltbench_plugins.profiles._shares import ByRank


class Exp50(ByRank, frozen=True):
    """Class counts fall exponentially with the label: `n_c = int(n_max * (1 / IF) ** (c / C))`.

    For CIFAR-50, with 500 images in each of 50 classes, this is the report's `500 * u ** (x / 50)` at x = 0 ... 49 with
    u = 1 / IF (0.1, 0.02 and 0.005). The exponent of the last class is 49/50, not 1 as in `exp`, so the realised
    imbalance is below the factor: 500 / 52 = 9.6 at a factor of 10. The report's code computes 51 numbers and uses the
    first 50. n_max is the class size of a balanced data set; otherwise it is the largest number for which every class
    has enough images.

    Source: report jiang, figure 4.
    """

    name = "exp50"

    def shares(self, classes: int, imbalance_factor: float) -> list[float]:
        return [(1 / imbalance_factor) ** (rank / classes) for rank in range(classes)]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Exp50]
