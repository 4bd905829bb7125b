"""Reversed sampling."""

from __future__ import annotations

from ltbench import Sampler, hookimpl
from ltbench_plugins.samplers._power import OfClassSizes


class Reverse(OfClassSizes, frozen=True):
    """Draw classes in inverse proportion to their size.

    `p_c = w_c / sum of w_i` with `w_c = n_max / n_c`: the rarest class is drawn as much more often than the most
    frequent one as it has fewer images. Each draw takes a class, then a uniform image of that class, with replacement.
    An epoch has as many draws as the subset has images.

    BBN draws a second stream of images in this way, for its re-balancing branch. As the only stream of a training it
    turns the long tail around.

    Source: Zhou et al., BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition, CVPR
    2020, section 4.2 (the reversed sampler).
    """

    name = "reverse"

    def power(self) -> float:
        return -1.0


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [Reverse]
