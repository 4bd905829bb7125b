"""What `ltbench search` and `ltbench.search` run: the parts of a search, their page, and the limit of time."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.cli.running.page_of_run import PageOfRun, page_of_run
from ltbench.cli.running.part_sources import Limits, check_tuning
from ltbench.cli.running.search_parts import SearchParts
from ltbench.cli.units import Spendable, spending_text
from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.errors import UsageError
from ltbench.registry.registry import Registry
from ltbench.running.budget import Budget
from ltbench.suite.suite import changed, suite_path
from ltbench.suite.tuning import SHARE

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.suite.suite import Suite


def searching(
    suite: Suite, suite_name: str, context: Context, registry: Registry, *, on: str, held_out: float | None, budget: Spendable | None,
    leaderboards: Path, name: str | None,
) -> tuple[SearchParts, PageOfRun, Budget | None]:  # fmt: skip
    """Return the parts of a search, its page, and the limit of its time, if it has one.

    on: "held_out" or "test"; held_out: what the user says of it. Raises `UsageError` if nothing is left to compare rows by,
    and `MissingExtra` if what proposes the trials of the suite is not installed.
    """
    if on == "held_out" and held_out == 0:
        raise UsageError("without held-out images there is nothing to compare rows by", where="--held-out 0",
                         fix="--held-out 0.2, or --on test")  # fmt: skip
    check_tuning(suite)
    suffix = "-search-on-test" if on == "test" else "-search"
    page = page_of_run(suite, suite_path(suite_name, registry), registry, leaderboards, name, suffix)
    if on == "held_out" and not suite.held_out:
        suite = changed(suite, held_out=SHARE)
    spent = budget or Spendable()
    source = SearchParts(suite.trained_on(context.device), context, on, Limits(spent.get("cells"), spent.get("passes")))
    limit = Budget(seconds=spent["seconds"]) if "seconds" in spent else None
    return source, _of_search(page, on, budget), limit


def _of_search(page: PageOfRun, on: str, budget: Spendable | None) -> PageOfRun:
    """Return the page of a search of what a page of a run would show."""
    words = shlex.split(page.command)
    place = words.index("--suite")
    options = ["--on", on] if on == "test" else []
    # What a time is enough for, depends on the machine.
    if budget is not None and "seconds" not in budget:
        options += ["--budget", spending_text(budget)]
    command = [words[0], "search", words[place + 1], *options, *words[place + 2 :]]
    return msgspec.structs.replace(
        page,
        suite=changed(page.suite, title=f"{page.suite.title}: search", claims=()),
        command=shlex.join(command),
        definition=digest(canonical(["search", on, page.definition]), 32),
    )
