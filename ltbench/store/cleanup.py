"""Lists the contents of a store with sizes, and removes what can be recomputed.

Items that are cheapest to recompute are removed first: leftovers, then states, which only save time, and on request
predictions and trainings. Records are never removed.
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

KINDS = (
    "records",
    "predictions",
    "trainings",
    "features",
    "states",
    "snapshots",
    "logs",
    "damaged",
    "unfinished",
    "other",
)
"""Kinds of items. `unfinished`: half-written by processes that were killed."""
USELESS = ("snapshots", "states", "damaged", "unfinished")
_RECENT_SECONDS = 3600.0
"""A process may still be writing items that were modified more recently than this, in seconds."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact, a record, a log, or a leftover."""

    kind: str
    key: str
    path: Path
    size: int
    """Sum of the lengths of its files in bytes; blocks of the file system may take more."""
    touched: float
    """Modification time of its newest file, by the file system's clock."""


def items(store: Store) -> Iterator[Item]:
    """Yield the items of a store. Items removed in the meantime are skipped."""
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
    if (path / "features.npy").is_file():
        return "features"
    return "predictions" if (path / "logits.safetensors").is_file() else "trainings"


def _item(kind: str, key: str, path: Path) -> Iterator[Item]:
    # Another process may have removed it since the listing.
    try:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        stats = [file.stat() for file in files] or [path.stat()]
    except FileNotFoundError:
        return
    size = sum(stat.st_size for stat in stats) if files else 0
    yield Item(kind=kind, key=key, path=path, size=size, touched=max(stat.st_mtime for stat in stats))


def disposable(store: Store, *, trainings: bool = False, older_than: float = 0.0) -> Iterator[Item]:
    """Yield items that may be removed, cheapest to recompute first, then oldest first.

    These are quarantined and unfinished files, states, and snapshots of fits that are done or unmodified for an hour.
    trainings: also predictions, trainings and features; records and leaderboards stay, and a later run that needs those fits
    trains them again. older_than: minimum age in seconds. Items in use by another process are skipped.
    """
    now = time.time()
    kinds = [*USELESS, *(("predictions", "trainings", "features") if trainings else ())]
    candidates = [item for item in items(store) if item.kind in kinds and now - item.touched >= older_than]
    candidates.sort(key=lambda item: (kinds.index(item.kind), item.touched, item.key))
    for item in candidates:
        if not _in_use(item, store, now):
            yield item


def _in_use(item: Item, store: Store, now: float) -> bool:
    recent = now - item.touched < _RECENT_SECONDS
    match item.kind:
        # Temporary files have no lease, so only their age shows whether a writer may be alive.
        case "unfinished":
            return recent
        case "snapshots":
            fit = fit_of(item.key) or ""
            return store.leases.is_held(fit) or (recent and not store.has(fit))
        case "states" | "predictions" | "trainings" | "features":
            return store.leases.is_held(fit_of(item.key) or item.key)
        case _:
            return False


def remove(item: Item, store: Store) -> None:
    """Remove an item. Raises `StoreError` on failure."""
    if item.kind in ("states", "snapshots", "predictions", "trainings", "features"):
        # Removed through the store, so that no other process sees a partial artefact.
        store.discard(item.key, keep_record=True)
        return
    atomic_files.remove(item.path)
    if item.path.exists():
        raise StoreError(f"{item.key} cannot be removed", where=str(item.path))


def enough_for(candidates: Iterable[Item], total: int, limit: int) -> Iterator[Item]:
    """Yield candidates to remove until a store of `total` bytes fits in `limit`."""
    for item in candidates:
        if total <= limit:
            return
        total -= item.size
        yield item


def sizes_by_kind(of: Iterable[Item]) -> dict[str, tuple[int, int]]:
    """Return number and bytes of the items of each kind."""
    result: dict[str, tuple[int, int]] = {}
    for item in of:
        count, size = result.get(item.kind, (0, 0))
        result[item.kind] = count + 1, size + item.size
    return result
