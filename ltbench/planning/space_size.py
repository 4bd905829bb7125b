"""How large a grid is, by number of techniques: combinations, what is left out, cells, cost. Nothing is planned for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination, suite_space
from ltbench.planning.grid import grid_of
from ltbench.planning.planner import Planner
from ltbench.planning.space import Space
from ltbench.stages import STAGES
from ltbench.suite.suite import Suite

PLANNED = 20_000
"""A grid of more cells is counted instead of planned: planning these takes some seconds."""
LISTED = 2_000_000
"""Cells that a plan lists at most if asked: planning these takes some minutes."""
_SCALE = 10**6
"""Costs are multiplied as integers, in millionths of the cost of the baseline."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The combinations of one number of techniques."""

    techniques: int
    possible: int
    """Combinations of at most one technique per stage."""
    conflicts: int
    """Of these, left out because of a conflict, or because no training can have both techniques."""
    needs: int
    """Of the others, left out because a technique lacks what it needs."""
    combinations: int
    """Those that run."""
    cells: int
    """Their cells, over settings, recipes and pairs of seeds. Equal ones, which a plan finds, count twice."""
    passes: float
    """Cost without sharing in forward passes of an image, if each technique multiplies it as it does alone."""


class SpaceSize(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a grid."""

    orders: list[Order]
    """By number of techniques, from zero."""
    cells_each: int
    """Cells of a combination that every model suits."""
    reasons: list[str]
    """Why combinations are left out: the relations between two techniques, or a technique and a stage."""

    @property
    def combinations(self) -> int:
        """The number of combinations that run."""
        return sum(order.combinations for order in self.orders)

    @property
    def cells(self) -> int:
        """The number of their cells."""
        return sum(order.cells for order in self.orders)

    @property
    def left_out(self) -> int:
        """The number of combinations that are left out."""
        return sum(order.conflicts + order.needs for order in self.orders)


def size_of_large(suite: Suite, registry: Techniques, data_root: Path) -> SpaceSize | None:
    """Return the size of a suite that is too large to plan in seconds; None for one that can be planned as a whole.

    Counts are exact. Raises what a plan of the suite raises.
    """
    space = suite_space(suite, registry)
    if space is None:
        return None
    planner = Planner(suite, registry, data_root)
    models = planner.cells_by_model
    if sum(space.possible()) * sum(models.values()) <= PLANNED:
        return None
    space = grid_of(suite, registry, planner) or space
    cells = [0] * (space.most + 1)
    for model, each in models.items():
        # What does not suit one of several models has cells with the others.
        grid = space if len(models) == 1 else grid_of(suite, registry, planner, model) or space
        cells = [before + each * count for before, count in zip(cells, grid.counts(), strict=True)]
    plain = planner.passes_unshared(Combination())
    costs = [planner.passes_unshared(Combination((technique,))) for technique in space.techniques]
    sums = space.sums([round(_SCALE * cost / plain) for cost in costs])
    rows = zip(space.possible(), space.counts(needs=False), space.counts(), cells, sums, strict=True)
    return SpaceSize(
        orders=[
            Order(
                techniques=number, possible=possible, conflicts=possible - allowed, needs=allowed - runs, combinations=runs,
                cells=of_order, passes=plain * (total / _SCALE**number),
            )
            for number, (possible, allowed, runs, of_order, total) in enumerate(rows)
        ],
        cells_each=sum(models.values()),
        reasons=list(_reasons(space)),
    )  # fmt: skip


def _reasons(space: Space) -> Iterator[str]:
    """Yield the relations that leave out combinations, in the words of `reason_left_out`."""
    there = {technique.name for technique in space.techniques} | set(space.stages)
    seen = {(type(technique), technique.name): technique for technique in space.techniques}
    for technique in seen.values():
        for other, reason in technique.conflicts.items():
            if other in there and other != technique.stage:
                whom = f"another technique of stage {other}" if other in STAGES else other
                yield f"{technique.name} cannot be combined with {whom}: {reason}"
        for other, reason in technique.needs.items():
            if other not in {technique.name, technique.stage}:
                what = f"a technique of stage {other}" if other in STAGES else other
                yield f"{technique.name} needs {what}: {reason}"
    for (one, two), reason in space.excluded.items():
        yield f"{one.name}: {reason}" if one == two else f"{one.name} with {two.name}: {reason}"
