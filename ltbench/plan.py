"""From a suite to cells, and from cells to a graph of jobs in which no work is done twice.

Works without torch and reads no image.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.cells import Job
from ltbench.grid import Combination, LeftOut, asked
from ltbench.registry import Registry
from ltbench.suite import Suite

if TYPE_CHECKING:
    from ltbench.planner import Planner

PART_CELLS = 3000
"""Cells of a part of a plan: few enough to hold, many enough to share."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite asks for, before anything runs."""

    jobs: dict[str, Job]
    """Every job by key, in the order in which they are best run: parents first, simple combinations first."""
    left_out: list[LeftOut]
    images: dict[str, int]
    """Images of the training subset of each fit, by its key."""
    trainings_naive: int
    """Trainings that a script would do that trains every cell, and every member of an ensemble, by itself."""
    passes_naive: float = 0.0
    """What that script would cost, in forward passes of an image."""
    passes: dict[str, float] = {}
    """About what each training and prediction costs here, in forward passes of an image, by key."""
    repeated: frozenset[str] = frozenset()
    """Jobs that an earlier part of the same plan has, too."""
    foreseen: frozenset[str] = frozenset()
    """Fits whose state a later part may go on from."""

    def of_kind(self, kind: str) -> list[Job]:
        """Return the jobs of one kind, in order."""
        return [job for job in self.jobs.values() if job.kind == kind]

    @property
    def cells(self) -> list[Job]:
        """The jobs that make a record, one per cell."""
        return self.of_kind("cell")

    @property
    def trainings(self) -> set[str]:
        """Keys of the trainings that cells are made of and that no earlier part has."""
        return {fit for cell in self.cells for fit in cell.spec["members"]} - self.repeated

    @property
    def passes_shared(self) -> float:
        """What the jobs cost that no earlier part has, in forward passes of an image."""
        return sum(passes for key, passes in self.passes.items() if key not in self.repeated)


def make_plan(suite: Suite, registry: Registry, data_root: Path) -> Plan:
    """Return the plan of a suite. Raises what is wrong with the suite or its data sets' descriptions."""
    (plan,) = plan_parts(suite, registry, data_root, cells=sys.maxsize)
    return plan


def plan_parts(suite: Suite, registry: Registry, data_root: Path, *, cells: int = PART_CELLS) -> Iterator[Plan]:
    """Yield the plan of a suite in parts of about that many cells, simple combinations first; at least one part.

    A grid of every registered technique has more cells than memory. Trainings are shared between parts where they are
    the same, and where one goes on from a state that an earlier part could foresee: the plain beginning of a deferred
    switch.
    """
    from ltbench.planner import Planner

    planner = Planner(suite, registry, data_root)
    combinations = asked(suite, registry)
    more = True
    while more:
        with without_collector():
            more = _fill(planner, combinations, cells)
            part = planner.take(more=more) if planner.size or planner.left_out or not planner.parts else None
        if part is not None:
            yield part


def _fill(planner: Planner, combinations: Iterator[Combination | LeftOut], cells: int) -> bool:
    """Add combinations until there are so many cells; return whether more may follow."""
    for combination in combinations:
        if isinstance(combination, LeftOut):
            planner.left_out.append(combination)
            continue
        planner.add_all(combination)
        if planner.size >= cells:
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
