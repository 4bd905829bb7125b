"""Telling what was found damaged in a store."""

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
def telling_damage(store: Store) -> Iterator[Callable[[], list[Damage]]]:
    """Say at the end of the block, however it ends, what was set aside meanwhile; give a function that lists it.

    What other processes that share the store set aside is among it: it may have been found for this one's sake.
    """
    from ltbench.store.quarantine import quarantined

    before = {one.where for one in quarantined(store.root)}

    def since() -> list[Damage]:
        return [one for one in quarantined(store.root) if one.where not in before]

    try:
        yield since
    finally:
        found = since()
        if found:
            click.echo(f"{len(found)} damaged in the store, set aside, to be made again where it is needed:", err=True)
        for one in found[:SHOWN]:
            click.echo(f"  {one.key}: {one.why}\n    now in {one.where}", err=True)
        if len(found) > SHOWN:
            click.echo(f"  and {len(found) - SHOWN} more (ltbench doctor)", err=True)
