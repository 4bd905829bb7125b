"""A final phase on unaugmented images."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, Phase, Regime, Tune, hookimpl

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyRegime(Regime, frozen=True):
    """Train as usual, and at the end on unaugmented images without mix.

    The learning-rate schedule continues, and the first phase is shared with plain training.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_regime"

    at: Annotated[
        float, Meta(gt=0, lt=1, description="start of the final phase, as a fraction of the training"), Tune(0.5, 0.9)
    ] = 0.8

    def phases(self) -> list[Phase]:
        """Return the main phase and the final one."""
        return [Phase(until=self.at), Phase(until=1.0, still=True, mix=False)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [MyRegime]
