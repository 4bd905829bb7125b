"""The plan of a suite, whole or in parts: combinations become cells, cells become jobs."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination, LeftOut, suite_combinations
from ltbench.planning.plan import Plan
from ltbench.suite.suite import Suite

if TYPE_CHECKING:
    from ltbench.planning.planner import Planner


PART_CELLS = 3000
"""Cells of a part of a plan: few enough to hold, many enough to share."""


def make_plan(suite: Suite, registry: Techniques, data_root: Path) -> Plan:
    """Return the plan of a suite. Raises what is wrong with the suite or its data sets' descriptions."""
    (plan,) = plan_parts(suite, registry, data_root, cells=sys.maxsize)
    return plan


def plan_parts(suite: Suite, registry: Techniques, data_root: Path, *, cells: int = PART_CELLS) -> Iterator[Plan]:
    """Yield the plan of a suite in parts of about that many cells, simple combinations first; at least one part.

    A grid of every registered technique has more cells than memory. Trainings are shared between parts where they are
    the same, and where one goes on from a state that an earlier part could foresee: the plain beginning of a deferred
    switch.
    """
    from ltbench.planning.planner import Planner

    planner = Planner(suite, registry, data_root)
    combinations = suite_combinations(suite, registry)
    more = True
    while more:
        with without_collector():
            more = _fill(planner, combinations, cells)
            part = planner.take(more=more) if planner.part.cells or planner.part.left_out or not planner.parts else None
        if part is not None:
            yield part


def _fill(planner: Planner, combinations: Iterator[Combination | LeftOut], cells: int) -> bool:
    """Add combinations until there are so many cells; return whether more may follow."""
    for combination in combinations:
        if isinstance(combination, LeftOut):
            planner.part.left_out.append(combination)
            continue
        planner.add(combination)
        if len(planner.part.cells) >= cells:
            return True
    return False


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Hold the collector of cycles, which finds none in a plan and takes a quarter of the time to look."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # What was made meanwhile goes to the oldest generation unseen; else the first look would go through all of it.
        gc.freeze()
        gc.unfreeze()
        if was_on:
            gc.enable()
