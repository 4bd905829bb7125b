"""Runs the steps of a recommendation on one executor, with pages of their own or without."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ltbench.cli.page_names import checked_name
from ltbench.cli.running.page_of_run import PageOfRun
from ltbench.cli.running.parts import run_parts
from ltbench.core import atomic_files
from ltbench.core.checksums import digest
from ltbench.core.row_labels import BASELINE, techniques_of
from ltbench.core.spec import canonical
from ltbench.errors import JobFailed
from ltbench.planning.combinations import ordered
from ltbench.planning.planner import Planner
from ltbench.records.locations import LOCAL
from ltbench.records.record import validate
from ltbench.running.budget import Budget
from ltbench.running.progress import Progress
from ltbench.running.runner import run
from ltbench.suite.suite import changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltbench.cli.running.own_images import Asked
    from ltbench.cli.running.part_sources import PartSource
    from ltbench.executor import Context, Executor
    from ltbench.planning.plan import Plan
    from ltbench.records.record import Record
    from ltbench.running.events import Event
    from ltbench.running.observing import Observing
    from ltbench.running.options import RunOptions
    from ltbench.running.run_log import RunLog
    from ltbench.suite.suite import Suite

_LONGEST = 60
"""Characters of a name that is taken from the folder of the images."""


class Steps:
    """Runs the steps on one executor."""

    def __init__(
        self, asked: Asked, context: Context, executor: Executor, options: RunOptions, command: Sequence[str], log: RunLog, observing: Observing,
    ) -> None:  # fmt: skip
        self._asked, self.context, self._executor, self._options, self._log = asked, context, executor, options, log
        self._command, self._observing = command, observing
        words = re.sub(r"[^a-z0-9_]+", "-", asked.photos.resolve().stem.lower())[:_LONGEST].strip("-_")
        self._name = checked_name(asked.name or words or "photos")

    @property
    def workers(self) -> int:
        """Jobs that run at the same time."""
        return self._executor.slots

    def folder(self, suffix: str = "") -> Path:
        """Return the folder of a page."""
        return self._asked.leaderboards / LOCAL / f"{self._name}{suffix}"

    def forget_other_photos(self, suite: Suite, names: Sequence[str]) -> None:
        """Remove files and folders beside the page of a suite if it is that of another run: they are of other photos."""
        from ltbench.leaderboard.publish import read_folder

        folder, page = self.folder(), self._page(suite, "")
        before, old = read_folder(folder)
        for name in names if old.records and before.definition != page.definition else ():
            if (folder / name).exists():
                click.echo(f"removed: {folder / name}, of another run", err=True)
                atomic_files.remove(folder / name)

    def check_baseline(self, suite: Suite) -> None:
        """Raise `JobFailed` with the error if plain training has failed, without which nothing can be compared."""
        for cell in self.plan(suite, BASELINE).cells:
            record = self.context.store.record(cell.key) or {}
            if record.get("status") == "failed":
                raise JobFailed(
                    "plain training failed, with which everything is compared", why=str(record["error"]["message"])
                )

    def run(self, source: PartSource, suite: Suite, suffix: str, *, seconds: float | None = None) -> None:
        """Run a step with a page of its own, for so many seconds if they are given. Raises `Interrupted` if it was stopped."""
        options = msgspec.structs.replace(self._options, budget=None if seconds is None else Budget(seconds=seconds))
        result = run_parts(
            source, self.context, self._executor, options, log=self._log, page=self._page(suite, suffix), observing=self._observing
        )  # fmt: skip
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

            def told(event: Event) -> None:
                progress(event)
                self._observing(event)

            run(plan, self.context, self._executor, self._options, on_event=told)
        raw = [self.context.store.record(cell.key) for cell in plan.cells]
        records = [validate(one, "a cell without a page") for one in raw if one is not None]
        return [one for one in records if one.status == "ok"]

    def _page(self, suite: Suite, suffix: str) -> PageOfRun:
        # Plain training comes first, and the rows that were chosen join it on the same page.
        rowless = changed(suite, techniques=[], combinations=[]) if suite.combinations else suite
        return PageOfRun(
            folder=self.folder(suffix),
            suite=changed(suite, title=f"{suite.title}: {self._name}{' (race)' * bool(suffix)}"),
            command=shlex.join(self._command),
            definition=digest(canonical([suffix, msgspec.to_builtins(rowless)]), 32),
        )  # fmt: skip
