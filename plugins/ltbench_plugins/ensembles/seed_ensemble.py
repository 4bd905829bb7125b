"""An ensemble of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ltbench import Ensemble, Member, Meta, NotTuned, hookimpl
from ltbench_plugins.ensembles._average import Average


class SeedEnsemble(Average, frozen=True):
    """Train networks from several seeds and average their probabilities (deep ensemble).

    All members have the techniques and the model of the cell. The first one is its plain training, so the others are the
    plain trainings of the next seeds, which are shared with a suite of several seeds. With equal size it predicts as
    `stacking` without models does. The paper's ensembles have 5 networks.

    Source: Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS
    2017, section 2.4.
    """

    name = "seed_ensemble"

    size: Annotated[int, Meta(ge=2, description="number of members"), NotTuned("decides the cost")] = 5

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the members; they do not depend on the class counts."""
        return [Member(seed_offset=number) for number in range(self.size)]


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [SeedEnsemble]
