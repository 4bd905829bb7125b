"""`ltbench search`: find the best combinations of a suite without running all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.data_lines import dropped_lines
from ltbench.cli.options import (
    leaderboards_option,
    load_registry,
    metric_option,
    observe_option,
    plugin_options,
    suite_changes,
    worker_options,
)
from ltbench.cli.page_names import PageName
from ltbench.cli.running.run_page import Output, completed, names_data, run_page
from ltbench.cli.units import Spendable, Spending

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection


@click.command("search")
@click.argument("suite_name", metavar="SUITE", default="quick")
@click.option("--budget", type=Spending(), metavar="AMOUNT",
              help="Most to spend: time (30m), cells (100cells), or passes of an image through a network (20Mpasses), "
                   "which are counted after each round. "
                   "[default: until rows are told apart]")  # fmt: skip
@click.option("--on", type=click.Choice(["held_out", "test"]), default="held_out", show_default=True,
              help="Images on which rows are compared: held out of training (by the suite, --held-out, or else 0.2), so that "
                   "the test images have no part in the choice, or test images, as in a leaderboard of all rows.")  # fmt: skip
@suite_changes
@worker_options
@observe_option
@click.option(
    "--name", type=PageName(), metavar="NAME", help="Name of the page.  [default: that of the suite, with -search]"
)
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
    is_published: bool, leaderboards: Path, as_json: bool, observed: tuple[str, ...], **asked: Any,
) -> int:  # fmt: skip
    """Race the combinations of a suite: find the best ones without running all.

    In rounds: a few cells of combinations that are far apart, then those that tell the leader from what may be better, by a
    model of what techniques and pairs of them add. The page says what was never run, without a rank. After an interruption,
    the same command continues. A suite with [tune] then tunes the rows in the lead.
    """
    from ltbench.cli.running.searching import searching
    from ltbench.executor import Context, Terms
    from ltbench.planning.settings import data_uses
    from ltbench.running.observing import observers_of
    from ltbench.running.options import RunOptions
    from ltbench.store.store import Store

    registry = load_registry(choice)
    observers = observers_of(observed, registry)
    suite = asked_suite(registry, **asked)
    offer = registry.executor((suite.executor or "local") if executor_name is None else executor_name)
    context = Context(store=Store(store_path), registry=registry, data_root=data_root, devices=offer.devices(device))
    terms = Terms(workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory)
    for line in dropped_lines(data_uses(suite, registry, data_root)):
        click.echo(line, err=True)
    source, page, limit = searching(
        suite, asked["suite_name"], context, registry, on=on, held_out=asked["held_out"], budget=budget, leaderboards=leaderboards, name=name
    )  # fmt: skip
    page = completed(page, choice, data_root, is_replaced=is_replaced, names_data=names_data())
    output = Output(
        leaderboards=leaderboards,
        is_published=is_published,
        is_replaced=is_replaced,
        as_json=as_json,
        observers=observers,
    )
    return run_page(source, suite.name, page, context, offer, terms, RunOptions(budget=limit, retries=retries), output)
