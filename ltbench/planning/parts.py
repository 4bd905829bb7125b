"""Plans a suite, whole or in parts: combinations become cells, cells become jobs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ltbench.core.collector import without_collector
from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination, LeftOut, suite_combinations
from ltbench.planning.grid import chosen_rows
from ltbench.planning.plan import Plan
from ltbench.planning.planner import Planner
from ltbench.suite.suite import Suite

PART_CELLS = 3000
"""Cells in a part of a plan: few enough to fit in memory, enough to share trainings."""


def make_plan(suite: Suite, registry: Techniques, data_root: Path) -> Plan:
    """Return the plan of a suite. Raises `UsageError` or `DataError` if the suite or a data set cannot be planned."""
    (plan,) = plan_parts(suite, registry, data_root, cells=sys.maxsize)
    return plan


def plan_parts(
    suite: Suite, registry: Techniques, data_root: Path, *, cells: int = PART_CELLS, left_out: bool = True
) -> Iterator[Plan]:
    """Yield the plan of a suite in parts of about this many cells, simple combinations first; at least one part.

    left_out: whether to list the combinations that are left out; without, they take neither time nor memory.

    The grid of all registered techniques has more cells than fit in memory. Parts share equal trainings, and a
    training can continue from a state that an earlier part foresaw, such as the plain start of a deferred switch.
    """
    planner = Planner(suite, registry, data_root)
    combinations = suite_combinations(suite, registry, chosen_rows(suite, registry, planner, left_out=left_out))
    more = True
    while more:
        with without_collector():
            more = _fill(planner, combinations, cells)
            part = planner.take(more=more) if planner.part.cells or planner.part.left_out or not planner.parts else None
        if part is not None:
            yield part


def _fill(planner: Planner, combinations: Iterator[Combination | LeftOut], cells: int) -> bool:
    """Add combinations until the part has this many cells; return whether more may follow."""
    for combination in combinations:
        if isinstance(combination, LeftOut):
            planner.part.left_out.append(combination)
            continue
        planner.add(combination)
        if len(planner.part.cells) >= cells:
            return True
    return False
