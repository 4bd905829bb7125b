"""Reports files that were quarantined during a command."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ltbench.store.quarantine import Damage
    from ltbench.store.store import Store

SHOWN = 10


@contextlib.contextmanager
def reporting_damage(store: Store) -> Iterator[Callable[[], list[Damage]]]:
    """At the end of the block, print which files were quarantined during it; yield a function that lists them.

    Files quarantined by other processes on the store are included, because their jobs may belong to this command.
    """
    from ltbench.store.quarantine import quarantined

    before = {damage.where for damage in quarantined(store.root)}

    def since() -> list[Damage]:
        return [damage for damage in quarantined(store.root) if damage.where not in before]

    try:
        yield since
    finally:
        damages = since()
        if damages:
            click.echo(f"{len(damages)} damaged files were quarantined; they will be recomputed when needed:", err=True)
        for damage in damages[:SHOWN]:
            click.echo(f"  {damage.key}: {damage.why}\n    now in {damage.where}", err=True)
        if len(damages) > SHOWN:
            click.echo(f"  and {len(damages) - SHOWN} more (ltbench doctor)", err=True)
