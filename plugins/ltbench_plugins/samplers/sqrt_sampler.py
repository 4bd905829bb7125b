"""Square-root sampling."""

from __future__ import annotations

from ltbench import Sampler, hookimpl
from ltbench_plugins.samplers._power import OfClassSizes


class SqrtSampler(OfClassSizes, frozen=True):
    """Draw classes in proportion to the square root of their size, with replacement.

    Half-way, on a logarithmic scale, between plain shuffling and `cb_sampler`: at imbalance factor 100 the most
    frequent class is drawn ten times as often as the rarest one. Same as `power_sampler[q=0.5]`. Together with the
    weight `isns`, which is the other half, every class has the same total weight.

    Source: Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018 (square-root sampling);
    Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, equation 1 with q =
    1/2.
    """

    name = "sqrt_sampler"

    def power(self) -> float:
        return 0.5


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [SqrtSampler]
