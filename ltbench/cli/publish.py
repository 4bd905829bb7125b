"""`ltbench publish NAME`: publish a local page."""

from __future__ import annotations

from pathlib import Path

import click

from ltbench.cli.options import leaderboards_option
from ltbench.cli.paths import PathOption
from ltbench.cli.running.publishing import print_published, publish_page


@click.command("publish")
@click.argument("name")
@click.option("--readme", type=PathOption(dir_okay=False), metavar="FILE",
              help="File whose table of this leaderboard is updated.  [default: README.md beside --leaderboards]")  # fmt: skip
@click.option("--replace", "is_replaced", is_flag=True,
              help="Replace published records from another type of machine, or a published page of another suite or "
                   "recipe.")  # fmt: skip
@leaderboards_option
def command(name: str, readme: Path | None, is_replaced: bool, leaderboards: Path) -> None:
    """Publish the local page NAME: merge leaderboards/local/NAME into leaderboards/NAME.

    `ltbench run` only writes local pages, so that a trial run changes nothing that is published. Other records of the
    published page are kept. If the README has a table of the leaderboard, it is updated.
    """
    print_published(publish_page(name, leaderboards, readme, is_replaced=is_replaced))
