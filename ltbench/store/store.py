"""The store: artefacts by the identity of their job, and one record per cell.

    <root>/store.json             the format
    <root>/jobs/ab/abcd.../       an artefact: files, meta.json, and digest.json over all of them
    <root>/records/ab/abcd....json
    <root>/leases/ staging/ logs/ damaged/      staging also has learning curves of running trainings

An artefact is written under a temporary name, flushed and renamed, so it is either complete or missing, and the first
of several writers wins without a lock. A file that does not match its digest is quarantined and recomputed by the next
job that needs it. Opening and reading a store creates nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from ltbench.core import atomic_files, checksums
from ltbench.core.atomic_files import os_errors_as_store_errors
from ltbench.errors import StoreError
from ltbench.store import format as store_format
from ltbench.store import leases, quarantine
from ltbench.store.quarantine import Damage

DAY = 86_400.0
META = "meta.json"
_log = logging.getLogger("ltbench.store.store")


class _Message(msgspec.Struct, frozen=True):
    message: str


class _Head(msgspec.Struct, frozen=True):
    id: str
    status: str
    failed_metrics: dict[str, _Message] = {}


class Store:
    """A folder of artefacts and records, shared by any number of processes and machines.

    Methods that write raise `StoreError` on failure; partial files are never visible.
    """

    def __init__(self, root: str | Path, *, ttl: float = leases.TTL) -> None:
        """Open the store at `root`, which need not exist. ttl: seconds until a dead worker's lease expires."""
        self.root = Path(root)
        self.leases = leases.Leases(self.root / "leases", ttl)
        self.damage: list[Damage] = []
        """Files that this process has quarantined."""
        self.examined: dict[str, tuple[tuple[int, ...] | None, str]] = {}
        """Records that were checked: inode, mtime and size of their file, and their status."""
        self._intact: set[str] = set()
        self._jobs, self._records = os.fspath(self.root / "jobs"), os.fspath(self.root / "records")
        store_format.check_format(self.root)

    def __reduce__(self) -> tuple[object, ...]:
        # Without results of checks by this process: another process has to check for itself.
        return partial(Store, ttl=self.leases.ttl), (str(self.root),)

    # --- artefacts -----------------------------------------------------------------------------------------------

    def path(self, key: str) -> Path:
        """Return the folder of an artefact, which need not exist."""
        return Path(f"{self._jobs}/{key[:2]}/{store_format.checked_key(key)}")

    def has(self, key: str) -> bool:
        """Whether the artefact exists. Its content is checked when it is read."""
        # Called up to a million times per plan, where pathlib would take most of the time.
        return os.path.isfile(f"{self._jobs}/{key[:2]}/{store_format.checked_key(key)}/{checksums.NAME}")  # noqa: PTH113

    def checked(self, key: str) -> Path:
        """Return the folder of an artefact, checked once per process against its digests.

        Raises `StoreError` if it is missing, or if it was damaged and is now quarantined.
        """
        path = self.path(key)
        if key not in self._intact:
            if not path.exists():
                raise _missing(key, path)
            with os_errors_as_store_errors(f"artefact {key} cannot be read", path):
                why = checksums.examine(path, key)
            if why:
                raise self._damaged(key, path, why)
            self._intact.add(key)
        return path

    def meta(self, key: str) -> dict[str, Any]:
        """Return the metadata of an artefact, checked against its digest. Raises as `checked` does."""
        path = self.path(key)
        with os_errors_as_store_errors(f"artefact {key} cannot be read", path):
            content = checksums.read_checked(path, key, META)
        if content is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                return msgspec.json.decode(content, type=dict[str, Any])
        if not path.exists():
            raise _missing(key, path)
        raise self._damaged(key, path, f"{META} does not match its digest")

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield a folder to write an artefact into; after the block it is flushed and becomes visible.

        If another process was faster, this copy is dropped. If the block raises, nothing remains; an OSError of a full
        or read-only disk becomes `StoreError`.
        """
        target, what = self.path(key), f"artefact {key} cannot be written"
        with os_errors_as_store_errors(what, target):
            folder = self._staged(key)
            folder.mkdir()
        try:
            with os_errors_as_store_errors(what, target, only=atomic_files.REFUSALS):
                yield folder
            with os_errors_as_store_errors(what, target):
                checksums.seal(folder, key)
                self._place(key, folder, target)
        finally:
            atomic_files.remove(folder)

    def _place(self, key: str, folder: Path, target: Path) -> None:
        # Twice, because an existing damaged folder is moved only once.
        for last in (False, True):
            try:
                atomic_files.move(folder, target)
            except OSError:
                if self.has(key):
                    return  # another process was faster
                if last or not target.exists():
                    raise
                self._quarantine(key, target, "a folder without digests")
            else:
                # Without flushing the folder, the rename might not survive a power cut.
                atomic_files.flush(target.parent)
                return

    def _damaged(self, key: str, path: Path, why: str) -> StoreError:
        self._quarantine(key, path, why)
        return StoreError(
            f"{key} was damaged and is quarantined",
            where=str(path),
            why=why,
            fix="run the command again to recompute it",
        )

    def _quarantine(self, key: str, path: Path, why: str) -> None:
        target = self.root / quarantine.NAME / f"{key}-{uuid.uuid4().hex[:8]}"
        with os_errors_as_store_errors(f"{key} is damaged ({why}) and cannot be quarantined", path):
            try:
                atomic_files.move(path, target)
            except FileNotFoundError:
                if path.exists():
                    raise
                return  # another process has moved it
            if target.is_dir() and not checksums.examine(target, key):
                # Between check and move, another process had replaced it by a valid artefact.
                self._place(key, target, path)
                return
            atomic_files.write(quarantine.reason_of(target), f"{key}: {why}\n".encode())
        self.damage.append(Damage(key=key, where=target, why=why))
        _log.warning("%s was damaged (%s) and is quarantined in %s", key, why, target)

    def discard(self, key: str, *, keep_record: bool = False) -> None:
        """Remove an artefact and, unless it is kept, the record with that key, so that a run recomputes them."""
        for path in (self.path(key), *([] if keep_record else [self.record_path(key)])):
            with os_errors_as_store_errors(f"{key} cannot be removed", path), contextlib.suppress(FileNotFoundError):
                # Renamed first, so that no reader sees a part of it.
                staged = self._staged(key)
                atomic_files.move(path, staged)
                atomic_files.remove(staged)
        self._intact.discard(key)

    # --- records -------------------------------------------------------------------------------------------------

    def put_record(self, record: Mapping[str, Any]) -> None:
        """Store the record of a cell. A failure never replaces a success."""
        cell = str(record["id"])
        if record.get("status") != "ok" and self.status(cell) == "ok":
            return
        target = self.record_path(cell)
        with os_errors_as_store_errors(f"the record of cell {cell} cannot be written", target):
            staged = self._staged(cell)
            # The folder is not flushed, because a record lost in a power cut is derived again in milliseconds.
            try:
                atomic_files.write(staged, msgspec.json.encode(record))
                atomic_files.move(staged, target)
            finally:
                atomic_files.remove(staged)

    def record(self, cell: str) -> dict[str, Any] | None:
        """Return the record of a cell, or None if it is missing, or if it was damaged and is now quarantined."""
        content = self._record_content(cell)
        if content is None:
            return None
        try:
            record = msgspec.json.decode(content, type=dict[str, Any])
            if record.get("id") == cell and "status" in record:
                return record
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        self.reject(cell, "the record is unreadable or belongs to another cell")
        return None

    def reject(self, cell: str, why: str) -> None:
        """Quarantine the record of a cell that is damaged or invalid."""
        self._quarantine(cell, self.record_path(cell), why)

    def status(self, cell: str) -> str | None:
        """Return `ok`, `failed`, or None if there is no record; faster than reading the record."""
        head = self._head(cell)
        return None if head is None else head.status

    def failed_metrics(self, cell: str) -> dict[str, str]:
        """Return why metrics of a successful cell failed, by name of the metric; empty without a record."""
        head = self._head(cell)
        return {} if head is None else {name: failure.message for name, failure in head.failed_metrics.items()}

    def _head(self, cell: str) -> _Head | None:
        content = self._record_content(cell)
        with contextlib.suppress(msgspec.MsgspecError):
            if content is not None and (head := msgspec.json.decode(content, type=_Head)).id == cell:
                return head
        return None

    def cells(self, beginning: str = "") -> list[str]:
        """Return the sorted ids of cells with a record whose id starts with `beginning`."""
        return sorted(path.stem for path in (self.root / "records").glob(f"{beginning[:2]}*/{beginning}*.json"))

    def record_path(self, cell: str) -> Path:
        """Return the file of a cell's record, which need not exist."""
        return self.root / "records" / cell[:2] / f"{store_format.checked_key(cell)}.json"

    def _record_content(self, cell: str) -> bytes | None:
        # Called for every cell of a plan, most of which have no record; `stat` is fastest.
        try:
            os.stat(f"{self._records}/{cell[:2]}/{store_format.checked_key(cell)}.json")  # noqa: PTH116
        except FileNotFoundError:
            return None
        except OSError:
            pass  # reading it below raises the error that tells the user
        path = self.record_path(cell)
        try:
            with os_errors_as_store_errors(f"the record of cell {cell} cannot be read", path, missing_ok=True):
                return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    # --- leases, logs, housekeeping --------------------------------------------------------------------------------

    def lease(self, key: str) -> leases.Lease | None:
        """Acquire the lease on a job; None if another live process holds it."""
        return self.leases.acquire(store_format.checked_key(key))

    def log_path(self, key: str) -> Path:
        """Return the log file of a job, which need not exist."""
        return self.root / "logs" / f"{store_format.checked_key(key)}.log"

    def put_log(self, key: str, text: str) -> None:
        """Write the log of a job: its output and traceback. Does not raise if the log cannot be written."""
        with contextlib.suppress(OSError):
            self.log_path(key).parent.mkdir(parents=True, exist_ok=True)
            self.log_path(key).write_text(text, encoding="utf-8", errors="replace")

    def log(self, key: str) -> str | None:
        """Return the log of a job, or None if there is none."""
        with contextlib.suppress(OSError):
            return self.log_path(key).read_text(encoding="utf-8", errors="replace")
        return None

    def check_writable(self) -> None:
        """Raise `StoreError` if the store cannot be written; call it before training."""
        with os_errors_as_store_errors("the store cannot be written", self.root):
            probe = self._staged("probe")
            try:
                # A whole block, because a full disk may accept an empty file.
                atomic_files.write(probe, bytes(4096))
            finally:
                atomic_files.remove(probe)

    def sweep(self, older_than: float = DAY) -> None:
        """Remove files of dead processes, untouched for `older_than` seconds."""
        with contextlib.suppress(OSError):
            now = self.leases.now()
            self.leases.sweep(older_than)
            for path in (self.root / "staging").iterdir():
                newest = max((p.stat().st_mtime for p in (path, *path.rglob("*"))), default=now)
                if now - newest > older_than:
                    atomic_files.remove(path)

    def _staged(self, name: str) -> Path:
        """Return a new temporary path."""
        return self._staging / f"{name}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"

    @cached_property
    def _staging(self) -> Path:
        """The folder of temporary files. Only writers use it, so this creates the store."""
        return store_format.create(self.root)


def _missing(key: str, path: Path) -> StoreError:
    return StoreError(
        f"artefact {key} is not in the store", where=str(path), fix="run the command again to recompute it"
    )
