"""Which effects a design cannot tell apart: techniques that were never varied alone, and what their effects are aliased with.

A technique that was never run with and without, everything else the same, has no difference to average. In a fraction of
a factorial (a screening design) least squares still has an estimate, if no interaction adds to it: the effect is aliased
with those interactions whose columns are not orthogonal to its own (Box, Hunter and Hunter, Statistics for Experimenters,
2nd ed. 2005, ch. 6). Techniques that were only run together have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.stages import TECHNIQUE_STAGES

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

Picked = tuple[str, str]
"""A technique: its stage and its label."""
Combined = frozenset[Picked]
_ZERO = 1e-9


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What main effects alone can be estimated from rows."""

    techniques: list[Picked]
    weights: dict[Picked, Floats]
    """float [rows] of a technique that was never varied alone: the least-squares contrast that estimates its effect."""
    aliased: dict[Picked, list[tuple[str, str]]]
    """Of these, the pairs of techniques whose interaction adds to the estimate."""
    together: list[list[str]]
    """Labels of techniques that were not varied independently, so that no effect of one can be estimated."""


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
    weights: dict[Picked, Floats] = {}
    aliased: dict[Picked, list[tuple[str, str]]] = {}
    bound = []
    for number, one in enumerate(techniques, 1):
        if one in alone:
            continue
        unit = np.zeros(matrix.shape[1])
        unit[number] = 1.0
        if np.abs(resolved[number] - unit).max() > _ZERO:
            bound.append(number)
            continue
        weights[one] = np.zeros(len(combinations))
        weights[one][rows] = inverse[number]
        # Of each pair of techniques: the contrast, applied to the product of their columns.
        shares = (signs * inverse[number][:, None]).T @ signs
        aliased[one] = [
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
    return TECHNIQUE_STAGES.index(picked[0]), picked[1]
