"""`ltbench search`: find the best combinations of a suite without running all of them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.data_lines import dropped_lines
from ltbench.cli.options import (
    leaderboards_option,
    load_registry,
    metric_option,
    plugin_options,
    suite_changes,
    worker_options,
)
from ltbench.cli.running.run_page import Output, completed, run_page
from ltbench.cli.units import Spendable, Spending, spending_text
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.registry.discovery import PluginSelection


@click.command("search")
@click.argument("suite_name", metavar="SUITE", default="quick")
@click.option("--budget", type=Spending(), metavar="AMOUNT",
              help="Most to spend: time (30m), cells (100cells), or passes of an image through a network (20Mpasses).  "
                   "[default: until rows are told apart]")  # fmt: skip
@click.option("--on", type=click.Choice(["held_out", "test"]), default="held_out", show_default=True,
              help="Images on which rows are compared: held out of training (by the suite, --held-out, or else 0.2), so that "
                   "the test images have no part in the choice, or test images, as in a leaderboard of all rows.")  # fmt: skip
@suite_changes
@worker_options
@click.option("--name", metavar="NAME", help="Name of the page.  [default: that of the suite, with -search]")
@click.option(
    "--replace", "is_replaced", is_flag=True, help="Replace records of the page from another type of machine."
)
@click.option("--publish", "is_published", is_flag=True, help="Then publish the page, as `ltbench publish` does.")
@leaderboards_option
@metric_option
@click.option("--json", "as_json", is_flag=True, help="Print a summary of the run as JSON instead of the leaderboard.")
@plugin_options
def command(
    choice: PluginSelection, data_root: Path, store_path: Path, budget: Spendable | None, on: str,
    executor_name: str | None, workers: int | None, device: str, per_gpu: int, retries: int, timeout: float | None, memory: int | None, name: str | None, is_replaced: bool,
    is_published: bool, leaderboards: Path, as_json: bool, **asked: Any,
) -> int:  # fmt: skip
    """Race the combinations of a suite: find the best ones without running all.

    In rounds: a few cells of combinations that are far apart, then those that tell the leader from what may be better, by a
    model of what techniques and pairs of them add. The page says what was never run, without a rank. After an interruption,
    the same command continues. A suite with [tune] then tunes the rows in the lead.
    """
    from ltbench.cli.running.page_of_run import page_of_run
    from ltbench.cli.running.part_sources import Limits
    from ltbench.cli.running.search_parts import SearchParts
    from ltbench.executor import Context, Terms
    from ltbench.planning.settings import data_uses
    from ltbench.running.budget import Budget
    from ltbench.running.options import RunOptions
    from ltbench.store.store import Store
    from ltbench.suite.suite import changed, suite_path
    from ltbench.suite.tuning import SHARE

    registry = load_registry(choice)
    suite = asked_suite(registry, **asked)
    if on == "held_out" and asked["held_out"] == 0:
        raise UsageError("without held-out images there is nothing to compare rows by", where="--held-out 0",
                         fix="--held-out 0.2, or --on test")  # fmt: skip
    offer = registry.executor(executor_name or suite.executor or "local")
    context = Context(store=Store(store_path), registry=registry, data_root=data_root, devices=offer.devices(device))
    terms = Terms(workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory)
    for line in dropped_lines(data_uses(suite, registry, data_root)):
        click.echo(line, err=True)
    spent = budget or Spendable()
    suffix = "-search-on-test" if on == "test" else "-search"
    page = page_of_run(suite, suite_path(asked["suite_name"], registry), registry, leaderboards, name, suffix)
    page = completed(_of_search(page, on, budget), choice, data_root, is_replaced=is_replaced)
    if on == "held_out" and not suite.held_out:
        suite = changed(suite, held_out=SHARE)
    options = RunOptions(budget=Budget(seconds=spent["seconds"]) if "seconds" in spent else None, retries=retries)
    source = SearchParts(suite.trained_on(context.device), context, on, Limits(spent.get("cells"), spent.get("passes")))
    output = Output(leaderboards=leaderboards, is_published=is_published, is_replaced=is_replaced, as_json=as_json)
    return run_page(source, suite.name, page, context, offer, terms, options, output)


def _of_search(page: PageOfRun, on: str, budget: Spendable | None) -> PageOfRun:
    """Return the page of a search of what a page of a run would show."""
    import msgspec

    from ltbench.core.checksums import digest
    from ltbench.core.spec import canonical
    from ltbench.suite.suite import changed

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
