"""What a run runs: the parts of a suite's plan, each planned when the one before has been run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.planning.plan import Plan
    from ltbench.records.search_file import Searched
    from ltbench.records.tuning_file import TunedRow
    from ltbench.suite.suite import Suite
    from ltbench.tuning.tuner import Tuner


class Part(NamedTuple):
    """A part of a plan."""

    plan: Plan
    about: str = ""
    """What it is; empty for combinations of the suite with their own parameters."""


class PartSource(Protocol):
    """Where the parts of a run come from."""

    @property
    def tuned(self) -> list[TunedRow]:
        """How rows were tuned so far."""

    @property
    def searched(self) -> Searched | None:
        """What a search has run so far."""

    def parts(self, workers: int) -> Iterator[Part]:
        """Yield the parts; each has to be run before the next one is asked for."""

    def combinations(self, first: Plan) -> int:
        """Return the number of combinations of all parts. first: the first part."""


def tuning_parts(tuner: Tuner, workers: int) -> Iterator[Part]:
    """Yield the parts of a tuning, and print at its end which rows were not tuned."""
    for part in tuner.parts(workers):
        yield Part(part.plan, part.about)
    for note in tuner.notes:
        click.echo(f"note: {note}", err=True)


class SuiteParts:
    """The parts of a suite: its rows with their own parameters, then its tuning."""

    def __init__(self, suite: Suite, context: Context) -> None:
        self._suite, self._context = suite, context
        self.tuned: list[TunedRow] = []
        self.searched: Searched | None = None

    def parts(self, workers: int) -> Iterator[Part]:
        """Yield the parts; see `PartSource`."""
        from ltbench.planning.parts import plan_parts

        for plan in plan_parts(self._suite, self._context.registry, self._context.data_root, left_out=False):
            yield Part(plan)
        if self._suite.tune is not None:
            from ltbench.tuning.tuner import Tuner

            tuner = Tuner(self._suite, self._context)
            self.tuned = tuner.tuned
            yield from tuning_parts(tuner, workers)

    def combinations(self, first: Plan) -> int:
        """Return the number of combinations of all parts; see `PartSource`."""
        from ltbench.planning.grid import combination_count
        from ltbench.planning.parts import PART_CELLS

        if len(first.cells) < PART_CELLS:
            return first.combinations
        return combination_count(self._suite, self._context.registry, self._context.data_root)
