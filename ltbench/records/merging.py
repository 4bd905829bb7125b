"""Merges old and new records of one leaderboard."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.records.agreement import has_more_metrics
from ltbench.records.machines import unlike_machines
from ltbench.records.record import Record, sort_key


def merge(old: Iterable[Record], new: Iterable[Record], *, replace: bool = False) -> list[Record]:
    """Merge old and new records in a fixed order, one for each identity.

    A new record replaces an old one of the same identity, with three exceptions: a failed record never replaces a
    successful one; nor does a record that only lacks metrics of the old one; and a record from another type of machine
    does so only with `replace`, because differences between rows are paired only if a pair of seeds was run on one
    type of machine. A new record also replaces old ones of its slot, made before a technique changed. Other data and
    recipes have other slots, because a page has a table for each.
    """
    fresh = _unique(new)
    slots = {record.slot for record in fresh.values()}
    for record in _unique(old).values():
        mine = fresh.get(record.id)
        if mine is None:
            if record.slot not in slots:
                fresh[record.id] = record
        elif record.status == "ok" and (mine.status == "failed" or (not replace and _keeps_old(record, mine))):
            fresh[record.id] = record
    return sorted(fresh.values(), key=sort_key)


def kept_from_other_machines(old: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """Return the old records that `merge` keeps because the new ones are from another type of machine."""
    fresh = _unique(new)
    pairs = ((record, fresh[record.id]) for record in _unique(old).values() if record.id in fresh)
    return sorted((record for record, mine in pairs if _from_other_machine(record, mine)), key=sort_key)


def _keeps_old(old: Record, new: Record) -> bool:
    # Rerunning a cell where a metric is not installed removes no number from a page.
    return _from_other_machine(old, new) or has_more_metrics(old, new)


def _from_other_machine(first: Record, second: Record) -> bool:
    both = first.status == second.status == "ok"
    return both and bool(unlike_machines(first.environment, second.environment))


def _unique(records: Iterable[Record]) -> dict[str, Record]:
    best: dict[str, Record] = {}
    for record in records:
        # For equal status, take the lowest digest, so that the order does not matter.
        best[record.id] = min(best.get(record.id, record), record, key=lambda one: (one.status != "ok", one.digest))
    return best
