"""What a run runs: the parts of a suite's plan, each planned when the one before has been run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

from ltbench.core.words import counted

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


class Limits(NamedTuple):
    """What may be spent besides time; None for no limit."""

    cells: int | None = None
    passes: float | None = None

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return (self.cells is not None and self.cells <= 0) or (self.passes is not None and self.passes <= 0)

    def after(self, cells: int, passes: float) -> Limits:
        """Return what is left after spending this."""
        return Limits(
            None if self.cells is None else self.cells - cells, None if self.passes is None else self.passes - passes
        )


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

    def rest(self, begun: int) -> str:
        """Return what a run that ends before its last part leaves. begun: combinations of the parts that were started."""


def check_tuning(suite: Suite) -> None:
    """Raise `MissingExtra` if what proposes the trials of a suite is not installed: before its rows run, not after."""
    if suite.tune is not None:
        from ltbench.tuning.proposals import check_installed

        check_installed(suite.tune)


def tuning_parts(
    tuner: Tuner,
    workers: int,
    limits: Limits = Limits(),  # noqa: B008 - immutable
    paid: Collection[str] = (),
) -> Iterator[Part]:
    """Yield the parts of a tuning, and print at its end which rows were not tuned.

    limits: what it may spend; a row that it has begun with is finished. paid: jobs that cost nothing more.
    """
    known, was_trial = set(paid), False
    # One row after the other, so that no number of workers changes how many rows the limits are enough for.
    for part in tuner.parts(workers if limits == Limits() else 0):
        if limits.is_spent and part.is_trial and not was_trial:
            click.echo(
                "note: the budget is spent, so not all rows in the lead are tuned; a larger one continues", err=True
            )
            break
        yield Part(part.plan, part.about)
        new = {key: job for key, job in part.plan.jobs.items() if key not in known}
        cells = sum(job.kind == "cell" for job in new.values())
        limits, was_trial = limits.after(cells, sum(part.plan.passes.get(key, 0.0) for key in new)), part.is_trial
        known |= new.keys()
    for note in tuner.notes:
        click.echo(f"note: {note}", err=True)


class SuiteParts:
    """The parts of a suite: its rows with their own parameters, then its tuning."""

    def __init__(self, suite: Suite, context: Context) -> None:
        """Begin with a suite. Raises `MissingExtra` if what proposes the trials of its tuning is not installed."""
        check_tuning(suite)
        self._suite, self._context = suite, context
        self.tuned: list[TunedRow] = []
        self.searched: Searched | None = None
        self._all = 0
        """Combinations of all parts, once the first one is known."""

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

        self._all = first.combinations
        if len(first.cells) >= PART_CELLS:
            self._all = combination_count(self._suite, self._context.registry, self._context.data_root)
        return self._all

    def rest(self, begun: int) -> str:
        """Return what is left; see `PartSource`."""
        left = self._all - begun
        return (
            f"{left:,} of {counted(self._all, 'combination')} {'was' if left == 1 else 'were'} not begun"
            if left
            else "the tuning is not finished"
        )
