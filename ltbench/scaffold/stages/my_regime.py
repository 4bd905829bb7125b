"""A last part on images as they are."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, Phase, Regime, hookimpl

LTBENCH_API = 1  # the version of ltbench's hooks that this module is written for


class MyRegime(Regime, frozen=True):
    """Train as usual, and in the last part on images as they are: without augmentation and without mix.

    The learning rate goes on along its curve, and the first part is the plain training's, which is shared with it.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_regime"

    at: Annotated[float, Meta(gt=0, lt=1, description="where the last part begins, as a share of the training")] = 0.8

    def phases(self) -> list[Phase]:
        """Return the part with everything on, and the last one."""
        return [Phase(until=self.at), Phase(until=1.0, still=True, mix=False)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [MyRegime]
