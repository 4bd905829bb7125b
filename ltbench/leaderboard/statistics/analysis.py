"""What the records of each board say beyond its tables: effects of techniques, and where the variance comes from."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.leaderboard.statistics.effects import Effect, interactions, main_effects
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.statistics.variance import Variance, variances


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """Of one board: what each technique adds, what pairs add beyond that, and the sources of variance."""

    group: RecordGroup
    effects: list[Effect]
    pairs: list[Effect]
    variances: list[Variance]

    @property
    def factor(self) -> float | None:
        """Where the effects that stand for all are: None, or the only factor there is."""
        factors = self.group.factors
        return None if len(factors) > 1 else factors[0]

    @property
    def has_averages(self) -> bool:
        """Whether effects say more than the differences to the baseline do: some technique was tried beside others."""
        return any(effect.contexts > 1 for effect in self.effects)


def analyse(groups: Iterable[RecordGroup]) -> list[Analysis]:
    """Return the analysis of each board, in their order."""
    made = []
    for group in groups:
        scores = ScoreArray.of(group.records)
        made.append(
            Analysis(
                group=group,
                effects=main_effects(scores),
                pairs=interactions(scores),
                variances=variances(scores),
            )
        )
    return made
