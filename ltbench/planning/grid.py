"""The grid of a suite: the space of its techniques, without pairs that no training can have."""

from __future__ import annotations

import itertools
from pathlib import Path

from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination, suite_combinations, suite_space
from ltbench.planning.members import DECIDING
from ltbench.planning.planner import Planner
from ltbench.planning.space import Space
from ltbench.suite.suite import Suite


def grid_of(suite: Suite, registry: Techniques, planner: Planner) -> Space | None:
    """Return the space of a suite without what cannot be planned; None for a list, a stack or a screening design.

    Whether a training can have a technique is decided by those of a few stages, so pairs with these are tried.
    """
    space = suite_space(suite, registry)
    if space is None:
        return None
    for technique in space.techniques:
        if reason := planner.why_not(Combination((technique,))):
            space.exclude(technique, technique, reason)
    for one, two in itertools.combinations(space.techniques, 2):
        pair = Combination((one, two))
        deciding = not {one.stage, two.stage}.isdisjoint(DECIDING)
        if one.stage != two.stage and deciding and (reason := planner.why_not(pair)):
            space.exclude(one, two, reason)
    return space


def combination_count(suite: Suite, registry: Techniques, data_root: Path) -> int:
    """Return how many combinations of a suite run."""
    space = grid_of(suite, registry, Planner(suite, registry, data_root))
    if space is not None:
        return sum(space.counts())
    return sum(isinstance(one, Combination) for one in suite_combinations(suite, registry))
