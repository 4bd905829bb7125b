"""Effects of techniques and sources of variance of each board."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.leaderboard.statistics.aliasing import Pairs, ScreenFit
from ltbench.leaderboard.statistics.effects import Effect, interactions, main_effects
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.statistics.variance import Variance, variances


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """Main effects, interactions and sources of variance of one board."""

    group: RecordGroup
    scores: ScoreArray
    """Its scores by the metric that it ranks by, with their comparisons."""
    effects: list[Effect]
    pairs: list[Effect]
    variances: list[Variance]
    together: list[list[str]] = []
    """Techniques that were not varied independently, so that none of them has an effect of its own."""
    screen: ScreenFit | None = None
    """The fit of a screening design, if the rows are one."""
    several_machines: bool = False
    """Whether rows were run on unlike types of machines."""

    @property
    def factor(self) -> float | None:
        """The factor of the overall effects: None for the mean over factors, or the only factor."""
        factors = self.group.factors
        return None if len(factors) > 1 else factors[0]

    @property
    def has_averages(self) -> bool:
        """Whether effects are averages, and so say more than the differences to the baseline."""
        return any(effect.contexts != 1 for effect in self.effects)


def analyse(groups: Iterable[RecordGroup], screen_pairs: Pairs | msgspec.UnsetType = msgspec.UNSET) -> list[Analysis]:
    """Return the analysis of each board, in order.

    screen_pairs: pairs whose interaction is estimated, if the rows are those of a screening design.
    """
    pairs = None if screen_pairs is msgspec.UNSET else screen_pairs
    return [
        Analysis(
            group=group,
            scores=scores,
            effects=main_effects(scores),
            pairs=interactions(scores),
            variances=variances(scores),
            together=scores.estimable.together,
            screen=scores.estimable.screen,
            several_machines=len(scores.design(None).environments) > 1,
        )
        for group in groups
        for scores in [ScoreArray.of(group.records, group.ranking.name, pairs, fractions=group.ranking.is_fraction)]
    ]
