"""Grids and screening designs without what no training can have, which only a planner knows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination, suite_combinations, suite_screen, suite_space
from ltbench.planning.members import DECIDING
from ltbench.planning.planner import Planner
from ltbench.planning.screen import Row, Screen
from ltbench.planning.space import Space
from ltbench.stages import Technique
from ltbench.suite.suite import Suite, changed


def grid_of(suite: Suite, registry: Techniques, planner: Planner, model: str = "") -> Space | None:
    """Return the space of a suite without what cannot be planned; None for a list, a stack or a screening design.

    model: the only model that counts; by default, what can be planned with any of them is in it.
    Whether a training can have a technique is decided by those of a few stages, so pairs with these are tried.
    """
    space = suite_space(suite, registry)
    if space is None:
        return None
    models = [model] if model else list(planner.cells_by_model)

    def why_not(*techniques: Technique) -> str:
        reasons = [planner.why_not(Combination(techniques), one) for one in models]
        return reasons[0] if all(reasons) else ""

    for technique in space.techniques:
        if reason := why_not(technique):
            space.exclude(technique, technique, reason)
    for one, two in itertools.combinations(space.techniques, 2):
        deciding = not {one.stage, two.stage}.isdisjoint(DECIDING)
        if one.stage != two.stage and deciding and (reason := why_not(one, two)):
            space.exclude(one, two, reason)
    return space


def screen_of(suite: Suite, registry: Techniques, planner: Planner) -> Screen | None:
    """Return the screening design of a suite, without rows that cannot be planned; None for another strategy."""
    if suite.combinations or suite.strategy != "screen":
        return None
    every = grid_of(changed(suite, strategy="all", screen_pairs=[], screen_rows=None), registry, planner)
    return suite_screen(suite, registry, () if every is None else tuple(every.excluded))


def chosen_rows(suite: Suite, registry: Techniques, planner: Planner, *, left_out: bool) -> Iterable[Row] | None:
    """Return the combinations of a suite that are chosen among all: by a design, or as they are not left out.

    left_out: whether those of a grid that are left out are to be listed, too; then None for a grid.
    """
    if (design := screen_of(suite, registry, planner)) is not None:
        return design.rows
    grid = None if left_out else grid_of(suite, registry, planner)
    return None if grid is None else grid.walk()


def combination_count(suite: Suite, registry: Techniques, data_root: Path) -> int:
    """Return how many combinations of a suite run."""
    planner = Planner(suite, registry, data_root)
    if (space := grid_of(suite, registry, planner)) is not None:
        return sum(space.counts())
    rows = chosen_rows(suite, registry, planner, left_out=False)
    return sum(isinstance(one, Combination) for one in suite_combinations(suite, registry, rows))
