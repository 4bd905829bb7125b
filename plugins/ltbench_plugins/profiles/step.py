"""Two class sizes with one step in the middle."""

from __future__ import annotations

from ltbench import Profile, hookimpl
from ltbench_plugins.profiles._shares import ByRank


class Step(ByRank, frozen=True):
    """The first half of the classes keeps n_max images, the second half `int(n_max * (1 / IF))`.

    With an odd number of classes the middle one is in the second half; a single class keeps all images. Source: Cao
    et al., NeurIPS 2019, `imbalance_cifar.py`, after Buda et al., "A systematic study of the class imbalance problem
    in convolutional neural networks", Neural Networks 2018.
    """

    name = "step"

    def shares(self, classes: int, imbalance_factor: float) -> list[float]:
        frequent = max(classes // 2, 1)
        return [1.0 if rank < frequent else 1 / imbalance_factor for rank in range(classes)]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Step]
