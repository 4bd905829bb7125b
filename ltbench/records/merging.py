"""Old and new records of one leaderboard together: which replaces which."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.records.agreement import has_more_metrics
from ltbench.records.machines import unlike_machines
from ltbench.records.record import Record, sort_key


def merge(old: Iterable[Record], new: Iterable[Record], *, replace: bool = False) -> list[Record]:
    """Merge old and new records in a fixed order, one for each identity.

    A new record replaces an old one of the same identity, except that a failed one never replaces an ok one, and that
    one of another type of machine replaces an ok one only with `replace`: differences between rows are paired as long
    as a pair of seeds was run on one type of machine. Nor does one that only lacks metrics of the old one. It also replaces old ones of its slot, made before a technique
    changed. Other data and another recipe are other slots, as a page has a table for each.
    """
    fresh = _unique(new)
    slots = {record.slot for record in fresh.values()}
    for record in _unique(old).values():
        mine = fresh.get(record.id)
        if mine is None:
            if record.slot not in slots:
                fresh[record.id] = record
        elif record.status == "ok" and (mine.status == "failed" or (not replace and _stays(record, mine))):
            fresh[record.id] = record
    return sorted(fresh.values(), key=sort_key)


def kept_from_other_machines(old: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """Return the old records that `merge` keeps because the new ones of their cells are of another type of machine."""
    fresh = _unique(new)
    pairs = ((record, fresh[record.id]) for record in _unique(old).values() if record.id in fresh)
    return sorted((record for record, mine in pairs if _from_other_machine(record, mine)), key=sort_key)


def _stays(old: Record, new: Record) -> bool:
    # A metric that is not installed where a cell is made again takes no number from a page.
    return _from_other_machine(old, new) or has_more_metrics(old, new)


def _from_other_machine(first: Record, second: Record) -> bool:
    both = first.status == second.status == "ok"
    return both and bool(unlike_machines(first.environment, second.environment))


def _unique(records: Iterable[Record]) -> dict[str, Record]:
    best: dict[str, Record] = {}
    for record in records:
        # Of equal status the lowest digest, so that the order does not matter.
        best[record.id] = min(best.get(record.id, record), record, key=lambda one: (one.status != "ok", one.digest))
    return best
