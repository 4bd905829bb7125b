"""Deferred re-sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from ltbench import Meta, Phase, Regime, Tune, hookimpl


class Drs(Regime, frozen=True):
    """Switch on the sampler late in the training.

    The network learns features from the original distribution and is then fine-tuned on that of the sampler. The
    learning-rate schedule continues unchanged, and the first phase is shared with plain training. As in `drw`, the paper
    switches at the first drop of a stepped learning rate, at epoch 160 of 200.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.3
    and algorithm 1, with re-sampling in place of weights.
    """

    name = "drs"
    needs: ClassVar[Mapping[str, str]] = {"sampler": "there is nothing to defer without a sampler"}

    at: Annotated[
        float, Meta(gt=0, lt=1, description="start of the sampler, as a fraction of the training"), Tune(0.5, 0.9)
    ] = 0.8

    def phases(self) -> list[Phase]:
        """Return the phase without the sampler and the phase with it."""
        return [Phase(until=self.at, sampler=False), Phase(until=1.0)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [Drs]
