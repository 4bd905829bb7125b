"""The variance of effects between pairs of seeds, pooled over the effects that the design makes alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ltbench.leaderboard.statistics.tests_and_intervals import CONSTANT

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.tests_and_intervals import Floats


class EffectSeries(msgspec.Struct, frozen=True, kw_only=True):
    """An effect, and its differences run by run; fractions."""

    mean: float
    by_run: Floats
    """float [runs]: means over the contexts of a run."""
    contexts: int
    cells: int
    stages: tuple[str, ...]
    shares: bool
    """Whether the rows of every difference use one training."""
    error: tuple[float, float] | None
    """Standard error and degrees of freedom where the effect is a single difference of a table."""

    @property
    def n(self) -> int:
        """Pairs of seeds."""
        return len(self.by_run)


class Error(NamedTuple):
    """A standard error with its degrees of freedom."""

    size: float
    df: float


def pooled_errors(series: Sequence[EffectSeries | None], *, alone: bool) -> list[Error | None]:
    """Return the standard error of each effect; None where nothing varies or there is one run.

    alone: whether each effect has a variance of its own. Otherwise it is pooled over effects that average over as many
    contexts and agree in whether they share trainings. The degrees of freedom count one effect for each set of stages:
    alternatives of one stage are all compared with its baseline, so their differences are not independent.
    """
    groups: dict[object, list[EffectSeries]] = {}
    for number, one in enumerate(series):
        if one is not None and one.n > 1:
            groups.setdefault(_group(one, number, alone=alone), []).append(one)
    result: list[Error | None] = []
    for number, one in enumerate(series):
        error = None
        if one is not None and one.error is not None:
            error = Error(*one.error)
        elif one is not None and one.n > 1:
            alike = groups[_group(one, number, alone=alone)]
            squares = sum(float(((other.by_run - other.by_run.mean()) ** 2).sum()) for other in alike)
            variance = squares / sum(other.n - 1 for other in alike)
            df = sum(max(o.n - 1 for o in alike if o.stages == stages) for stages in {o.stages for o in alike})
            error = Error((variance / one.n) ** 0.5, df)
        result.append(None if error is None or error.size <= CONSTANT else error)
    return result


def _group(one: EffectSeries, number: int, *, alone: bool) -> object:
    return number if alone else (one.contexts, one.shares)
