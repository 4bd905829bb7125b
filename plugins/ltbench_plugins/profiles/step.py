"""Two class sizes with one step in the middle."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench import Profile, hookimpl
from ltbench.longtail import check_imbalance_factor
from ltbench_plugins.profiles._shares import most_frequent


class Step(Profile, frozen=True):
    """The first half of the classes keeps n_max images, the second half `int(n_max * (1 / IF))`.

    With an odd number of classes the middle one is in the second half; a single class keeps all images. Source: Cao
    et al., NeurIPS 2019, `imbalance_cifar.py`, after Buda et al., "A systematic study of the class imbalance problem
    in convolutional neural networks", Neural Networks 2018.
    """

    name = "step"

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        ratio = 1 / check_imbalance_factor(imbalance_factor)
        frequent = max(len(available) // 2, 1)
        shares = [1.0 if label < frequent else ratio for label in range(len(available))]
        head = most_frequent(available, shares)
        return [int(head * share) for share in shares]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Step]
