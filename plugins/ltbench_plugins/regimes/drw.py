"""Deferred re-weighting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from ltbench import Meta, Phase, Regime, Tune, hookimpl


class Drw(Regime, frozen=True):
    """Switch on class weights late in the training.

    The network learns features without weights and is then fine-tuned with them. The learning-rate schedule continues
    unchanged, and the first phase is shared with plain training. In the paper the weights start at the first drop of a
    stepped learning rate, at epoch 160 of 200; with the schedule `multistep`, set a milestone at the same point.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019, section 3.3 and
    algorithm 1.
    """

    name = "drw"
    needs: ClassVar[Mapping[str, str]] = {"weight": "there is nothing to defer without class weights"}

    at: Annotated[
        float, Meta(gt=0, lt=1, description="start of the weights, as a fraction of the training"), Tune(0.5, 0.9)
    ] = 0.8

    def phases(self) -> list[Phase]:
        """Return the phase without weights and the phase with weights."""
        return [Phase(until=self.at, weight=False), Phase(until=1.0)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [Drw]
