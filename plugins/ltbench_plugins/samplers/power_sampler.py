"""Sampling by a power of the class size."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, Sampler, Tune, hookimpl
from ltbench_plugins.samplers._power import OfClassSizes


class PowerSampler(OfClassSizes, frozen=True):
    """Draw classes in proportion to a power of their size.

    `p_c = n_c ** q / sum of n_i ** q`. Each draw takes a class, then a uniform image of that class, with replacement.
    An epoch has as many draws as the subset has images. With q = 1 every image is equally likely (instance-balanced
    sampling), with q = 0 every class (the distribution of `cb_sampler`). `sqrt_sampler` is q = 1/2, and q = -1 is the
    distribution of `reverse`. The default is the exponent with which Mikolov et al. draw words.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, equation 1;
    q = 3/4 is that of Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality,
    NeurIPS 2013, section 2.2.
    """

    name = "power_sampler"

    q: Annotated[
        float,
        Meta(ge=-1, le=1, description="1: every image is equally likely; 0: every class; below 0: rare classes more"),
        Tune(0.0, 0.9),
    ] = 0.75

    def power(self) -> float:
        return self.q


@hookimpl
def ltbench_samplers() -> list[type[Sampler]]:
    return [PowerSampler]
