"""Deferred re-sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from ltbench import Meta, Phase, Regime, Tune, hookimpl

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class LateSampler(Regime, frozen=True):
    """Switch on the sampler late in the training.

    The network learns features from the original distribution and is then fine-tuned on that of the sampler. The
    learning-rate schedule continues unchanged, and the first phase is shared with plain training. In the paper the switch
    is at the first drop of a stepped learning rate, at epoch 160 of 200. ltbench has it as `drs`; this is how a package of
    its own would offer it.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.3
    (deferred re-balancing), with re-sampling.
    """

    name = "late_sampler"
    needs: ClassVar[Mapping[str, str]] = {"sampler": "there is nothing to defer without a sampler"}

    at: Annotated[
        float, Meta(gt=0, lt=1, description="start of the sampler, as a fraction of the training"), Tune(0.5, 0.9)
    ] = 0.8

    def phases(self) -> list[Phase]:
        """Return the phase without the sampler and the phase with it."""
        return [Phase(until=self.at, sampler=False), Phase(until=1.0)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [LateSampler]
