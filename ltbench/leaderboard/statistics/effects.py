"""Main effects of techniques, averaged over all combinations of the others, and interactions of pairs.

The unit of replication is the pair of seeds. The combinations of one pair of seeds share subset, initial weights and
order of images, and a technique may do better with some seeds than with others in all of them alike, so they are not
independent: differences are averaged within the pair first, and the interval is over pairs of seeds. Averaging a paired
difference over all combinations of the other factors is the main effect of a factorial design (Box, Hunter and Hunter,
Statistics for Experimenters, 2nd ed. 2005, ch. 5). Its standard error is that of the model of the table, and larger where
effects vary more between seeds than that (`effect_variances`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.aliasing import Picked, ScreenFit
from ltbench.leaderboard.statistics.comparisons import Comparisons
from ltbench.leaderboard.statistics.effect_variances import EffectSeries, effect_errors, variance_of
from ltbench.leaderboard.statistics.estimates import CONSTANT, LEVEL
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.statistics.simultaneous import bonferroni_p, bonferroni_quantile
from ltbench.records.comparability import ROW_STAGES

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.estimates import Floats

    Rows = npt.NDArray[np.intp]
    Contexts = list[tuple[int, ...]]

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
    """Ends of the simultaneous 95 % interval of the effects of one kind and factor; None where n is 1."""
    n: int
    """Pairs of seeds."""
    contexts: int
    """Combinations of the other techniques that it averages over; 0 for one that only least squares estimates."""
    cells: int
    """Differences that it averages: n times contexts if none is missing."""
    p: float | None
    """P-value of the t test against zero, corrected for the effects of its kind and factor (Bonferroni); None if n is 1."""

    aliased: tuple[tuple[str, str], ...] | None = None
    """Interactions that add to an estimate by least squares; None for an average of differences."""

    @property
    def separated(self) -> bool:
        """Whether the effect is significant, corrected."""
        return self.p is not None and self.p < LEVEL

    @property
    def whole(self) -> bool:
        """Whether every context has every pair of seeds."""
        return self.contexts == 0 or self.cells == self.n * self.contexts


def main_effects(scores: ScoreArray) -> list[Effect]:
    """Return the main effects of techniques on a score: at each imbalance factor and, if several, over all.

    scores: those of one board. Techniques are in the order of the stages. A difference is taken within one pair of seeds
    between a combination with the technique and the same one with the baseline of its stage in its place; nothing is
    imputed: a combination counts where both are there, over factors where both are there at every one. A technique
    without a single such difference has the estimate of least squares, where there is one (`aliasing`).
    """
    found: dict[tuple[Picked, ...], Contexts] = {}
    for combination in () if scores.screen_pairs is not None else scores.combinations:
        for one in combination:
            off = scores.rows.get(combination - {one})
            if off is not None:
                found.setdefault((one,), []).append((scores.rows[combination], off))
    design = scores.estimable
    return _effects(scores, found, {effect: weights for effect, weights in design.weights.items() if len(effect) == 1})


def interactions(scores: ScoreArray) -> list[Effect]:
    """Return what each pair of techniques adds beyond the sum of what each adds, as `main_effects` does.

    It is (both - second) - (first - neither), averaged over the combinations of all other techniques in which all four
    are there: above zero the two help each other, below they interfere. Some books take half of it. A screening design has
    the estimates of least squares for the pairs that it declares.
    """
    found: dict[tuple[Picked, ...], Contexts] = {}
    for combination in () if scores.screen_pairs is not None else scores.combinations:
        for first, second in itertools.combinations(sorted(combination, key=_order), 2):
            parts = (combination, combination - {first}, combination - {second}, combination - {first, second})
            rows = [scores.rows.get(part) for part in parts]
            if None not in rows:
                found.setdefault((first, second), []).append(tuple(row for row in rows if row is not None))
    fitted = {effect: weights for effect, weights in scores.estimable.weights.items() if len(effect) > 1}
    return _effects(scores, found, fitted)


def _order(picked: Picked) -> tuple[int, str]:
    return ROW_STAGES.index(picked[0]), picked[1]


def _effects(
    scores: ScoreArray, found: Mapping[tuple[Picked, ...], Contexts], fitted: Mapping[tuple[Picked, ...], Floats] = {}
) -> list[Effect]:
    """Return the effects of techniques.

    found: techniques -> of each context the rows that `_SIGNS` adds up; fitted: techniques -> weights of all rows.
    """
    keys = sorted({**found, **fitted}, key=lambda picked: [_order(one) for one in picked])
    rows = [fitted[key] if key in fitted else np.array(found[key], dtype=np.intp) for key in keys]
    columns = [_at(scores, factor, keys, rows) for factor in scores.places]
    return [effect for row in zip(*columns, strict=True) for effect in row if effect is not None]


def _at(
    scores: ScoreArray, factor: float | None, keys: Sequence[tuple[Picked, ...]], rows: Sequence[Rows | Floats]
) -> list[Effect | None]:
    """Return the effect of each of `keys`; None without a single difference on one type of machine."""
    values, compared = scores.at(factor), scores.compared(factor)
    series = [
        _series(compared, values, mine, tuple(stage for stage, _ in key), scores.estimable.screen)
        for key, mine in zip(keys, rows, strict=True)
    ]
    errors = effect_errors(series, alone=compared.variances.form == "each pair")
    tests = sum(one is not None for one in errors)
    result: list[Effect | None] = []
    for key, one, error in zip(keys, series, errors, strict=True):
        if one is None:
            result.append(None)
            continue
        half = p = None
        if error is not None:
            half = float(bonferroni_quantile(np.array(error.df), tests)) * error.size
            p = float(bonferroni_p(np.array(one.mean / error.size), np.array(error.df), tests))
        result.append(
            Effect(
                techniques=tuple(label for _, label in key), factor=factor, mean=one.mean,
                low=None if half is None else one.mean - half, high=None if half is None else one.mean + half,
                n=one.n, contexts=one.contexts, cells=one.cells, p=p,
                aliased=None if one.contexts else tuple(scores.estimable.aliased[key]),
            )
        )  # fmt: skip
    return result


def _series(
    compared: Comparisons, values: Floats, rows: Rows | Floats, stages: tuple[str, ...], screen: ScreenFit | None
) -> EffectSeries | None:
    """Return the differences of an effect by run, averaged over its contexts; None without one.

    rows: int [contexts, 2 or 4], or float [rows], the weights of a contrast.
    """
    if rows.ndim == 1:
        return _fitted(compared, values, np.asarray(rows, dtype=np.float64), stages, screen)
    rows = np.asarray(rows, dtype=np.intp)
    signs, blocks = np.array(_SIGNS[rows.shape[1]]), compared.variances.blocks[rows]
    one_block = (blocks == blocks[:, :1]).all(axis=1)
    gaps = np.where(one_block, (values[rows] * signs[None, :, None]).sum(axis=1), np.nan)
    known = np.isfinite(gaps)
    if not known.any():
        return None
    scaled = (compared.scale.forth(values)[rows] * signs[None, :, None]).sum(axis=1)
    there = known.any(axis=0)
    counts = known.sum(axis=0)[there]
    means, on_scale = (np.where(known, part, 0.0).sum(axis=0)[there] / counts for part in (gaps, scaled))
    weights = np.zeros(len(values))
    contexts = np.flatnonzero(known.any(axis=1))
    np.add.at(weights, rows[contexts].ravel(), np.tile(signs / len(contexts), len(contexts)))
    found = variance_of(weights, compared.variances)
    middle = float(values[rows][:, :, there][np.isfinite(values[rows][:, :, there])].mean())
    slope = compared.scale.slope_of(float(means.mean()), float(on_scale.mean()), middle)
    return EffectSeries(
        by_run=means if slope == 1 else means.mean() + slope * (on_scale - on_scale.mean()), contexts=len(contexts),
        cells=int(known.sum()), stages=stages, variance=None if found.size is None else found.size * slope**2, df=found.df,
        bound=found.bound,
    )  # fmt: skip


def _fitted(
    compared: Comparisons, values: Floats, weights: Floats, stages: tuple[str, ...], screen: ScreenFit | None
) -> EffectSeries | None:
    """Return a contrast by run, over the runs that have all of its rows in one block; None without one."""
    used = np.flatnonzero(np.abs(weights) > CONSTANT) if screen is None else np.array(screen.rows)
    blocks = compared.variances.blocks[used]
    by_run = np.where((blocks == blocks[:1]).all(axis=0), weights[used] @ values[used], np.nan)
    there = np.isfinite(by_run)
    if not there.any():
        return None
    if screen is not None:
        # Interactions that the model leaves out are the same in every run, so rows vary around it more than runs do.
        around = screen.variance(values[used][:, there].mean(axis=1))
        return EffectSeries(
            by_run=by_run[there], contexts=0, cells=int(there.sum()), stages=stages, df=screen.df, of_rows=True,
            variance=None if around is None else int(there.sum()) * around * float(weights @ weights),
        )  # fmt: skip
    scaled = (weights[used] @ compared.scale.forth(values)[used])[there]
    found = variance_of(weights, compared.variances)
    slope = compared.scale.slope_of(
        float(by_run[there].mean()), float(scaled.mean()), float(values[used][:, there].mean())
    )
    return EffectSeries(
        by_run=by_run[there].mean() + slope * (scaled - scaled.mean()), contexts=0, cells=int(there.sum()), stages=stages,
        variance=None if found.size is None else found.size * slope**2, df=found.df, bound=found.bound,
    )  # fmt: skip
