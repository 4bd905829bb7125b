"""One stage of training."""

from __future__ import annotations

from ltbench import Phase, Regime, hookimpl


class OneStage(Regime, frozen=True):
    """Train the whole network in a single phase.

    The baseline of the stage. All techniques are on during the whole training.

    Source: the reference for two-stage schemes, Kang et al., Decoupling Representation and
    Classifier for Long-Tailed Recognition, 2020, section 4 ("joint").
    """

    name = "one_stage"
    baseline = True

    def phases(self) -> list[Phase]:
        """Return the only phase."""
        return [Phase(until=1.0)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [OneStage]
