"""Runs the steps of a recommendation on one executor, with pages of their own or without."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.cli.running.parts import run_parts
from ltbench.core.checksums import digest
from ltbench.core.row_labels import techniques_of
from ltbench.core.spec import canonical
from ltbench.planning.combinations import ordered
from ltbench.planning.planner import Planner
from ltbench.records.locations import LOCAL
from ltbench.records.record import validate
from ltbench.running.budget import Budget
from ltbench.running.progress import Progress
from ltbench.running.runner import run
from ltbench.suite.suite import changed

if TYPE_CHECKING:
    from ltbench.cli.running.own_images import Asked
    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.cli.running.part_sources import PartSource
    from ltbench.executor import Context, Executor
    from ltbench.planning.plan import Plan
    from ltbench.records.record import Record
    from ltbench.running.options import RunOptions
    from ltbench.running.run_log import RunLog
    from ltbench.suite.suite import Suite


class Steps:
    """Runs the steps on one executor."""

    def __init__(self, asked: Asked, context: Context, executor: Executor, options: RunOptions, log: RunLog) -> None:
        self._asked, self.context, self._executor, self._options, self._log = asked, context, executor, options, log
        self._name = asked.name or re.sub(r"[^a-z0-9_]+", "-", asked.photos.resolve().stem.lower()).strip("-_") or "photos"  # fmt: skip

    @property
    def workers(self) -> int:
        """Jobs that run at the same time."""
        return self._executor.slots

    def folder(self, suffix: str = "") -> Path:
        """Return the folder of a page."""
        return self._asked.leaderboards / LOCAL / f"{self._name}{suffix}"

    def run(self, source: PartSource, suite: Suite, suffix: str, *, seconds: float | None = None) -> None:
        """Run a step with a page of its own, for so many seconds if they are given. Raises `Interrupted` if it was stopped."""
        options = msgspec.structs.replace(self._options, budget=None if seconds is None else Budget(seconds=seconds))
        result = run_parts(source, self.context, self._executor, options, log=self._log, page=self._page(suite, suffix))
        if result.stopped is not None:
            raise result.stopped

    def plan(self, suite: Suite, row: str) -> Plan:
        """Return the plan of a single row, without the baseline. suite: its other techniques are left out."""
        registry = self.context.registry
        labels = techniques_of(row)
        suite = changed(suite, techniques=[], combinations=[labels] if labels else [])
        planner = Planner(suite, registry, self.context.data_root)
        planner.add(ordered(map(registry.parse, labels)))
        return planner.take(more=False)

    def quiet(self, plan: Plan) -> list[Record]:
        """Run a plan without a page, and return the records of the cells that did not fail."""
        with Progress() as progress:
            run(plan, self.context, self._executor, self._options, on_event=progress)
        raw = [self.context.store.record(cell.key) for cell in plan.cells]
        records = [validate(one, "a cell without a page") for one in raw if one is not None]
        return [one for one in records if one.status == "ok"]

    def _page(self, suite: Suite, suffix: str) -> PageOfRun:
        from ltbench.cli.running.page_of_run import PageOfRun

        # Plain training comes first, and the rows that were chosen join it on the same page.
        rowless = changed(suite, techniques=[], combinations=[]) if suite.combinations else suite
        return PageOfRun(
            folder=self.folder(suffix),
            suite=changed(suite, title=f"{suite.title}: {self._name}{' (race)' * bool(suffix)}"),
            command=shlex.join(["ltbench", *sys.argv[1:]]),
            definition=digest(canonical([suffix, msgspec.to_builtins(rowless)]), 32),
        )  # fmt: skip
