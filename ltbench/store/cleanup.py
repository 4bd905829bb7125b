"""What a store holds and how much room it takes, and what of that can go.

What can go is removed from the cheapest to make again to the dearest: what is of no use to anyone, states that only
save time, and, when asked for, whole trainings and predictions. Records are never removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ltbench.core import atomic_files
from ltbench.errors import StoreError
from ltbench.store.store import Store
from ltbench.store.training_states import fit_of

KINDS = ("records", "predictions", "trainings", "states", "snapshots", "logs", "damaged", "unfinished", "other")
"""What lies in a store. `unfinished` is what killed writers left half-written."""
USELESS = ("snapshots", "states", "damaged", "unfinished")
_RECENT_SECONDS = 3600.0
"""Somebody may still be writing what was touched more lately."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a store: an artefact, a record, a log, or what is left of one."""

    kind: str
    key: str
    path: Path
    size: int
    """Bytes on the disk, blocks of the file system not counted."""
    touched: float
    """When its newest file was written, in seconds of the file system's clock."""


def items(store: Store) -> Iterator[Item]:
    """Yield what a store holds. What vanishes while this looks is left out."""
    for folder, kind in (("records", "records"), ("logs", "logs"), ("damaged", "damaged"), ("staging", "unfinished")):
        deep = kind == "records"
        for path in _entries(store.root / folder, deep=deep):
            yield from _item(kind, path.stem if deep else path.name, path)
    for path in _entries(store.root / "jobs", deep=True):
        yield from _item(_kind_of_job(path, store), path.name, path)


def _entries(folder: Path, *, deep: bool) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError("the store cannot be read", where=str(folder), why=str(error)) from error
    return [path for entry in entries for path in _entries(entry, deep=False)] if deep else entries


def _kind_of_job(path: Path, store: Store) -> str:
    if fit_of(path.name) is not None:
        return "states" if path.name.endswith("-state") else "snapshots"
    if not store.has(path.name):
        return "other"
    return "predictions" if (path / "logits.safetensors").is_file() else "trainings"


def _item(kind: str, key: str, path: Path) -> Iterator[Item]:
    try:
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        stats = [one.stat() for one in files] or [path.stat()]
    except FileNotFoundError:
        return
    size = sum(stat.st_size for stat in stats) if files else 0
    yield Item(kind=kind, key=key, path=path, size=size, touched=max(stat.st_mtime for stat in stats))


def disposable(store: Store, *, trainings: bool = False, older_than: float = 0.0) -> Iterator[Item]:
    """Yield what may go, what is cheapest to do without first, and of that the oldest first.

    Always: damaged files that were set aside, what killed writers left, states, and snapshots of fits that are done
    or were touched by nobody for an hour. trainings: predictions and trainings, too; records and leaderboards stay,
    and what is asked of those cells later trains them again. older_than: seconds that a thing must have lain there.
    What another process is working on stays.
    """
    now = time.time()
    wanted = [*USELESS, *(("predictions", "trainings") if trainings else ())]
    found = [item for item in items(store) if item.kind in wanted and now - item.touched >= older_than]
    found.sort(key=lambda item: (wanted.index(item.kind), item.touched, item.key))
    for item in found:
        if not _in_use(item, store, now):
            yield item


def _in_use(item: Item, store: Store, now: float) -> bool:
    recent = now - item.touched < _RECENT_SECONDS
    match item.kind:
        case "unfinished":
            return recent
        case "snapshots":
            fit = fit_of(item.key) or ""
            return store.leases.is_held(fit) or (recent and not store.has(fit))
        case "states" | "predictions" | "trainings":
            return store.leases.is_held(fit_of(item.key) or item.key)
        case _:
            return False


def remove(item: Item, store: Store) -> None:
    """Remove one thing. Raises `StoreError` where the system refuses."""
    if item.kind in ("states", "snapshots", "predictions", "trainings"):
        store.discard(item.key, keep_record=True)
        return
    atomic_files.remove(item.path)
    if item.path.exists():
        raise StoreError(f"{item.key} cannot be removed", where=str(item.path))


def enough_for(found: Iterable[Item], total: int, limit: int) -> Iterator[Item]:
    """Yield of what may go only as much as it takes for a store of `total` bytes to come within `limit`."""
    for item in found:
        if total <= limit:
            return
        total -= item.size
        yield item


def sizes_by_kind(found: Iterable[Item]) -> dict[str, tuple[int, int]]:
    """Return how many things of each kind there are, and their bytes."""
    result: dict[str, tuple[int, int]] = {}
    for item in found:
        count, size = result.get(item.kind, (0, 0))
        result[item.kind] = count + 1, size + item.size
    return result
