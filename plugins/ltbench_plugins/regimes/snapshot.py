"""Cyclic learning rates."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, NotTuned, Phase, Regime, hookimpl


class Snapshot(Regime, frozen=True):
    """Repeat the learning-rate schedule in several cycles of equal length.

    Each cycle ends in a minimum, from which the next one starts with the full learning rate (equation 2, for a recipe with
    the schedule `cosine` and without warm-up). The cell predicts with the network at the end of the last cycle; with the
    ensemble `snapshot_ensemble` also with those at the ends of earlier ones. The optimiser's momentum restarts with each
    cycle. In the paper, 200 epochs have 5 cycles.

    Source: Huang et al., Snapshot Ensembles: Train 1, Get M for Free, ICLR 2017, section 3, equation 2.
    """

    name = "snapshot"

    cycles: Annotated[int, Meta(ge=2, description="number of cycles"), NotTuned("is the number of members")] = 5

    def phases(self) -> list[Phase]:
        """Return the cycles."""
        return [Phase(until=number / self.cycles, restart=True) for number in range(1, self.cycles + 1)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [Snapshot]
