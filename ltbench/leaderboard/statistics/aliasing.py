"""Which effects a design cannot tell apart: techniques that were never varied alone, and what their effects are aliased with.

A technique that was never run with and without, everything else the same, has no difference to average. In a fraction of
a factorial (a screening design) least squares still has an estimate, if no interaction adds to it: the effect is aliased
with those interactions whose columns are not orthogonal to its own (Box, Hunter and Hunter, Statistics for Experimenters,
2nd ed. 2005, ch. 6). Techniques that were only run together have none.

The rows of a screening design are all estimated by least squares, with the interactions that its suite declares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.records.comparability import ROW_STAGES

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

Picked = tuple[str, str]
"""A technique: its stage and its label."""
Combined = frozenset[Picked]
Fitted = tuple[Picked, ...]
"""An effect: one technique, or two for an interaction."""
Pairs = Sequence[tuple[str, str]]
"""Labels of the pairs whose interaction is an effect of a screening design."""
_ZERO = 1e-9


class Alias(msgspec.Struct, frozen=True):
    """An interaction that adds to estimates."""

    pair: tuple[str, str]
    effect: tuple[str, ...]
    """Labels of the estimate that it adds most to."""
    share: float
    """How much of it is added."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What can be estimated by least squares alone."""

    techniques: list[Picked]
    weights: dict[Fitted, Floats]
    """float [rows] of an effect: the contrast that estimates it."""
    aliased: dict[Fitted, list[tuple[str, str]]]
    """Of these, the pairs of techniques whose interaction adds to the estimate."""
    together: list[list[str]]
    """Labels of techniques that were not varied independently, so that no effect of one can be estimated."""
    screen: ScreenFit | None = None


class ScreenFit(msgspec.Struct, frozen=True, kw_only=True):
    """The least-squares fit of a screening design."""

    rows: list[int]
    residuals: Floats
    """float [rows, rows]: turns their scores into what the effects do not explain."""
    aliases: list[Alias]
    """Every pair of techniques that is no effect of the design, the largest share first."""

    @property
    def df(self) -> int:
        """Rows beyond the number of effects."""
        return round(float(np.trace(self.residuals)))

    def variance(self, scores: Floats) -> float | None:
        """Return the variance of a row around the model; None without rows to spare. scores: float [rows]."""
        rest = self.residuals @ scores
        return float(rest @ rest) / self.df if self.df else None


def screen_of(combinations: Sequence[Combined], known: Sequence[bool], pairs: Pairs) -> Design:
    """Return what can be estimated of a screening design: every technique, and the interactions of pairs.

    combinations: of each row; known: whether the row has a number.
    """
    from ltbench.core.effect_model import EffectModel

    rows = [row for row, there in enumerate(known) if there]
    techniques = sorted({one for row in rows for one in combinations[row]}, key=_order)
    picked = {label: (stage, label) for stage, label in techniques}
    declared = [(picked[one], picked[two]) for one, two in pairs if one in picked and two in picked]
    model = EffectModel([combinations[row] for row in rows], techniques, declared)
    found = model.weights()
    weights = {effect: np.zeros(len(combinations)) for effect in model.effects}
    for effect, contrast in zip(model.effects, found, strict=True):
        weights[effect][rows] = contrast
    others = model.other_pairs()
    shares = model.aliased(others)
    labels = [(one[1], two[1]) for one, two in others]
    sizes = np.abs(shares)
    most = sizes.argmax(axis=0).tolist() if model.effects else []
    aliases = [
        Alias(pair, tuple(label for _, label in model.effects[row]), float(shares[row, column]))
        for column, (pair, row) in enumerate(zip(labels, most, strict=False))
        if sizes[row, column]
    ]
    return Design(
        techniques=techniques,
        weights=weights,
        aliased={
            effect: [labels[column] for column in np.argsort(-sizes[row], kind="stable").tolist() if sizes[row, column]]
            for row, effect in enumerate(model.effects)
        },
        together=[[label for _, label in effect] for effect in model.unknown if len(effect) == 1],
        screen=ScreenFit(
            rows=rows, residuals=model.residuals(),
            aliases=sorted(aliases, key=lambda one: (-round(abs(one.share), 6), one.pair)),
        ),
    )  # fmt: skip


def design_of(combinations: Sequence[Combined], known: Sequence[bool]) -> Design:
    """Return what can be estimated of techniques that have no row with and without them.

    combinations: of each row; known: whether the row has a number.
    """
    rows = [row for row, there in enumerate(known) if there]
    there = {combinations[row] for row in rows}
    techniques = sorted({one for row in rows for one in combinations[row]}, key=_order)
    alone = {one for combination in there for one in combination if combination - {one} in there}
    if all(one in alone for one in techniques):
        # The rule, and with a thousand techniques the pseudoinverse would take minutes.
        return Design(techniques=techniques, weights={}, aliased={}, together=[])
    matrix = np.array([[1.0, *(one in combinations[row] for one in techniques)] for row in rows])
    inverse = np.linalg.pinv(matrix)
    resolved = inverse @ matrix
    # With 1 and -1, so that what two techniques add on average counts for each of them, as in a whole factorial.
    signs = 2 * matrix - 1
    weights: dict[Fitted, Floats] = {}
    aliased: dict[Fitted, list[tuple[str, str]]] = {}
    bound = []
    for number, one in enumerate(techniques, 1):
        if one in alone:
            continue
        unit = np.zeros(matrix.shape[1])
        unit[number] = 1.0
        if np.abs(resolved[number] - unit).max() > _ZERO:
            bound.append(number)
            continue
        weights[one,] = np.zeros(len(combinations))
        weights[one,][rows] = inverse[number]
        # Of each pair of techniques: the contrast, applied to the product of their columns.
        shares = (signs * inverse[number][:, None]).T @ signs
        aliased[one,] = [
            (techniques[first - 1][1], techniques[second - 1][1])
            for first, second in zip(*np.nonzero(np.triu(np.abs(shares) > _ZERO, 1)), strict=True)
            if first
        ]
    return Design(
        techniques=techniques, weights=weights, aliased=aliased, together=_groups(resolved, bound, techniques)
    )


def _groups(resolved: Floats, bound: Sequence[int], techniques: Sequence[Picked]) -> list[list[str]]:
    """Return the techniques that are not estimable, those that depend on one another together."""
    from scipy.sparse import csgraph

    if not bound:
        return []
    tied = np.abs(resolved[np.ix_(bound, bound)]) > _ZERO
    group = csgraph.connected_components(tied, directed=False)[1]
    numbers: list[int] = group.tolist()
    return [
        [techniques[column - 1][1] for column, mine in zip(bound, numbers, strict=True) if mine == number]
        for number in dict.fromkeys(numbers)
    ]


def _order(picked: Picked) -> tuple[int, str]:
    return ROW_STAGES.index(picked[0]), picked[1]
