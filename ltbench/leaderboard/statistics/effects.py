"""Main effects of techniques, averaged over all combinations of the others, and interactions of pairs.

The unit of replication is the pair of seeds. The combinations of one pair of seeds share subset, initial weights and
order of images, so they are not independent: their differences are averaged within the pair first, and the t
interval is over pairs of seeds. Averaging a paired difference over all combinations of the other factors is the main
effect of a factorial design (Box, Hunter and Hunter, Statistics for Experimenters, 2nd ed. 2005, ch. 5).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.score_array import Picked, ScoreArray
from ltbench.leaderboard.statistics.tests_and_intervals import LEVEL, estimates, holm, zero_p
from ltbench.stages import TECHNIQUE_STAGES

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]

_SIGNS = {2: (1.0, -1.0), 4: (1.0, -1.0, -1.0, 1.0)}
"""Signs of scores in a difference: with, without; both, the second alone, the first alone, neither."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A main effect, or what two techniques add together beyond the sum of their main effects; fractions."""

    techniques: tuple[str, ...]
    """Labels: one for a main effect, two for an interaction."""
    factor: float | None
    """None: the mean over all imbalance factors."""
    mean: float
    low: float | None
    high: float | None
    """Ends of the 95 % t interval over pairs of seeds, not corrected for the number of effects; None where n is 1."""
    n: int
    """Pairs of seeds."""
    contexts: int
    """Combinations of the other techniques that it averages over."""
    cells: int
    """Differences that it averages: n times contexts if none is missing."""
    p: float | None
    """P-value of the t test against zero, Holm-corrected over the effects of its kind and factor; None if n is 1."""

    @property
    def separated(self) -> bool:
        """Whether the effect is significant, corrected."""
        return self.p is not None and self.p < LEVEL

    @property
    def whole(self) -> bool:
        """Whether every context has every pair of seeds."""
        return self.cells == self.n * self.contexts


def main_effects(scores: ScoreArray) -> list[Effect]:
    """Return the main effects of techniques on a score: at each imbalance factor and, if several, over all.

    scores: those of one board. Techniques are in the order of the stages. A difference is taken within one pair of seeds between a combination with the technique and the same one with the baseline of its stage in its
    place; nothing is imputed: a combination counts where both are there, over factors where both are there at every
    one. A technique without a single such difference has no effect here.
    """
    found: dict[tuple[Picked, ...], list[tuple[int, ...]]] = {}
    for combination in scores.combinations:
        for one in combination:
            off = scores.rows.get(combination - {one})
            if off is not None:
                found.setdefault((one,), []).append((scores.rows[combination], off))
    return _effects(scores, found)


def interactions(scores: ScoreArray) -> list[Effect]:
    """Return what each pair of techniques adds beyond the sum of what each adds, as `main_effects` does.

    It is (both - second) - (first - neither), averaged over the combinations of all other techniques in which all four
    are there: above zero the two help each other, below they interfere. Some books take half of it.
    """
    found: dict[tuple[Picked, ...], list[tuple[int, ...]]] = {}
    for combination in scores.combinations:
        for first, second in itertools.combinations(sorted(combination, key=_order), 2):
            parts = (combination, combination - {first}, combination - {second}, combination - {first, second})
            rows = [scores.rows.get(part) for part in parts]
            if None not in rows:
                found.setdefault((first, second), []).append(tuple(row for row in rows if row is not None))
    return _effects(scores, found)


def _order(picked: Picked) -> tuple[int, str]:
    return TECHNIQUE_STAGES.index(picked[0]), picked[1]


def _effects(scores: ScoreArray, found: dict[tuple[Picked, ...], list[tuple[int, ...]]]) -> list[Effect]:
    """Return the effects of techniques. found: techniques -> of each context the rows that `_SIGNS` adds up."""
    keys = sorted(found, key=lambda picked: [_order(one) for one in picked])
    rows = [np.array(found[key], dtype=np.intp) for key in keys]
    columns = [_at(scores, factor, keys, rows) for factor in scores.places]
    return [effect for row in zip(*columns, strict=True) for effect in row if effect is not None]


def _at(
    scores: ScoreArray, factor: float | None, keys: Sequence[tuple[Picked, ...]], rows: Sequence[Rows]
) -> list[Effect | None]:
    """Return the effect of each of `keys`; None without a single difference on one type of machine."""
    values = scores.at(factor)
    means = np.full((len(keys), values.shape[1]), np.nan)
    contexts, cells = [0] * len(keys), [0] * len(keys)
    for i, mine in enumerate(rows):
        signs = np.array(_SIGNS[mine.shape[1]])
        gaps = (values[mine] * signs[None, :, None]).sum(axis=1)
        gaps[~scores.paired(mine, factor)] = np.nan
        known = np.isfinite(gaps)
        counts = known.sum(axis=0)
        there = counts > 0
        means[i, there] = np.where(known, gaps, 0.0).sum(axis=0)[there] / counts[there]
        contexts[i], cells[i] = int(known.any(axis=1).sum()), int(known.sum())
    p = holm(zero_p(means))
    return [
        None
        if estimate is None
        else Effect(
            techniques=tuple(label for _, label in key),
            factor=factor,
            mean=estimate.mean,
            low=None if estimate.half is None else estimate.mean - estimate.half,
            high=None if estimate.half is None else estimate.mean + estimate.half,
            n=estimate.n,
            contexts=contexts[i],
            cells=cells[i],
            p=float(p[i]) if np.isfinite(p[i]) else None,
        )
        for i, (key, estimate) in enumerate(zip(keys, estimates(means), strict=True))
    ]
