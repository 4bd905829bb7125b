"""Exponential decay that reaches 1 / IF one class after the last."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench import Profile, hookimpl
from ltbench.longtail import check_imbalance_factor
from ltbench_plugins.profiles._shares import most_frequent


class Exp50(Profile, frozen=True):
    """Class counts fall exponentially with the label: `n_c = int(n_max * (1 / IF) ** (c / C))`.

    For CIFAR-50, with 500 images in each of 50 classes, this is the report's `500 * u ** (x / 50)` at x = 0 ... 49 with
    u = 1 / IF (0.1, 0.02 and 0.005). The exponent of the last class is 49/50, not 1 as in `exp`, so the realised
    imbalance is below the factor: 500 / 52 = 9.6 at a factor of 10. The report's code computes 51 numbers and uses the
    first 50. n_max is the class size of a balanced data set; otherwise it is the largest number for which every class
    has enough images.

    Source: report jiang, figure 4.
    """

    name = "exp50"

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        ratio = 1 / check_imbalance_factor(imbalance_factor)
        shares = [ratio ** (label / len(available)) for label in range(len(available))]
        head = most_frequent(available, shares)
        return [int(head * share) for share in shares]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Exp50]
