"""The store: artefacts by the identity of their job, and one record per cell.

    <root>/store.json             the format
    <root>/jobs/ab/abcd.../       an artefact: files, meta.json, and digest.json over all of them
    <root>/records/ab/abcd....json
    <root>/leases/ staging/ logs/ damaged/

A folder is filled under a temporary name, flushed, and renamed to its place, so an artefact is there whole or not at
all, and the first of several writers wins without a lock. Nothing is trusted that does not fit its digest: it is set
aside, and made again by whoever needs it. Opening and reading a store creates nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
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


class _Head(msgspec.Struct, frozen=True):
    id: str
    status: str


class Store:
    """A folder of artefacts and records that any number of processes and machines may share.

    Every method that writes raises `StoreError` where the system refuses; nothing half-written is ever visible.
    """

    def __init__(self, root: str | Path, *, ttl: float = leases.TTL) -> None:
        """Open the store at `root`, which need not exist. ttl: seconds after which a dead worker's lease expires."""
        self.root = Path(root)
        self.leases = leases.Leases(self.root / "leases", ttl)
        self.damage: list[Damage] = []
        """What this process has set aside."""
        self.examined: dict[str, tuple[tuple[int, ...] | None, str]] = {}
        """Records that were examined and not been asked for since: what their file was like, and their status."""
        self._sound: set[str] = set()
        self._jobs, self._records = os.fspath(self.root / "jobs"), os.fspath(self.root / "records")
        store_format.check_format(self.root)

    def __reduce__(self) -> tuple[object, ...]:
        return _open, (str(self.root), self.leases.ttl)

    # --- artefacts -----------------------------------------------------------------------------------------------

    def path(self, key: str) -> Path:
        """Return the folder of an artefact, whether it is there or not."""
        return Path(f"{self._jobs}/{key[:2]}/{store_format.checked_key(key)}")

    def has(self, key: str) -> bool:
        """Whether the artefact is there. Its content is examined when it is read."""
        # A plan asks this a million times, and pathlib takes most of the time of an answer.
        return os.path.isfile(f"{self._jobs}/{key[:2]}/{store_format.checked_key(key)}/{checksums.NAME}")  # noqa: PTH113

    def checked(self, key: str) -> Path:
        """Return the folder of an artefact, examined once per process against its digests.

        Raises `StoreError` where it is not there, or was damaged and has now been set aside to be made again.
        """
        if key not in self._sound:
            if why := self._damage(key):
                raise self._damaged(key, self.path(key), why)
            self._sound.add(key)
        return self.path(key)

    def meta(self, key: str) -> dict[str, Any]:
        """Return what the artefact says about itself, checked by its digest. Raises as `checked` does."""
        path = self.path(key)
        with os_errors_as_store_errors(f"artefact {key} cannot be read", path):
            content = checksums.read_checked(path, key, META)
        if content is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                return msgspec.json.decode(content, type=dict[str, Any])
        if not path.exists():
            raise _missing(key, path)
        raise self._damaged(key, path, f"{META} is not what was written")

    def verify(self, key: str) -> bool:
        """Examine an artefact now. False where it was damaged and has been set aside; raises where it is not there."""
        self._sound.discard(key)
        if why := self._damage(key):
            self._set_aside(key, self.path(key), why)
            return False
        self._sound.add(key)
        return True

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Give a folder to write an artefact into; at the end of the block it is flushed and becomes visible, whole.

        Where another was faster, this copy is dropped. Where the block raises, nothing remains; what the system
        refuses inside of it becomes `StoreError`.
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
        for last in (False, True):
            try:
                atomic_files.move(folder, target)
            except OSError:
                if self.has(key):
                    return  # another was faster
                if last or not target.exists():
                    raise
                self._set_aside(key, target, "a folder that is no artefact")
            else:
                atomic_files.flush(target.parent)
                return

    def _damage(self, key: str) -> str:
        """Return what is wrong with an artefact, or nothing. Raises `StoreError` where it is not there."""
        path = self.path(key)
        if not path.exists():
            raise _missing(key, path)
        with os_errors_as_store_errors(f"artefact {key} cannot be read", path):
            return checksums.examine(path, key)

    def _damaged(self, key: str, path: Path, why: str) -> StoreError:
        self._set_aside(key, path, why)
        return StoreError(
            f"{key} was damaged and has been set aside", where=str(path), why=why, fix="run again: it is made anew"
        )

    def _set_aside(self, key: str, path: Path, why: str) -> None:
        aside = self.root / quarantine.NAME / f"{key}-{uuid.uuid4().hex[:8]}"
        with os_errors_as_store_errors(f"{key} is damaged ({why}) and cannot be set aside", path):
            try:
                atomic_files.move(path, aside)
            except FileNotFoundError:
                if path.exists():
                    raise
                return  # another process did
            if aside.is_dir() and not checksums.examine(aside, key):
                # Another process had replaced it by a sound one in between.
                self._place(key, aside, path)
                return
            atomic_files.write(quarantine.reason_of(aside), f"{key}: {why}\n".encode())
        self.damage.append(Damage(key=key, where=aside, why=why))
        _log.warning("%s was damaged (%s) and is set aside in %s", key, why, aside)

    def discard(self, key: str, *, keep_record: bool = False) -> None:
        """Remove an artefact and, unless it is kept, the record of that key, so that they are made again."""
        for path in (self.path(key), *([] if keep_record else [self.record_path(key)])):
            with os_errors_as_store_errors(f"{key} cannot be removed", path), contextlib.suppress(FileNotFoundError):
                staged = self._staged(key)
                atomic_files.move(path, staged)
                atomic_files.remove(staged)
        self._sound.discard(key)

    # --- records -------------------------------------------------------------------------------------------------

    def put_record(self, record: Mapping[str, Any]) -> None:
        """Store the record of a cell. A failure never replaces a success."""
        cell = str(record["id"])
        if record.get("status") != "ok" and self.status(cell) == "ok":
            return
        target = self.record_path(cell)
        with os_errors_as_store_errors(f"the record of cell {cell} cannot be written", target):
            staged = self._staged(cell)
            try:
                atomic_files.write(staged, msgspec.json.encode(record))
                atomic_files.move(staged, target)
            finally:
                atomic_files.remove(staged)

    def record(self, cell: str) -> dict[str, Any] | None:
        """Return the record of a cell, or None where there is none that can be read."""
        content = self._record_content(cell)
        if content is None:
            return None
        try:
            record = msgspec.json.decode(content, type=dict[str, Any])
            if record.get("id") == cell and "status" in record:
                return record
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        self.reject(cell, "the record is not what was written")
        return None

    def reject(self, cell: str, why: str) -> None:
        """Set the record of a cell aside: it is damaged, or not what its reader accepts."""
        self._set_aside(cell, self.record_path(cell), why)

    def records(self, cells: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the records of those cells that have one, in order."""
        return (record for cell in cells if (record := self.record(cell)) is not None)

    def status(self, cell: str) -> str | None:
        """Return `ok`, `failed`, or None where there is no record; faster than reading the record."""
        content = self._record_content(cell)
        with contextlib.suppress(msgspec.MsgspecError):
            if content is not None and (head := msgspec.json.decode(content, type=_Head)).id == cell:
                return head.status
        return None

    def cells(self, beginning: str = "") -> list[str]:
        """Return the ids of the cells that have a record, sorted; those only that begin so."""
        return sorted(path.stem for path in (self.root / "records").glob(f"{beginning[:2]}*/{beginning}*.json"))

    def record_path(self, cell: str) -> Path:
        """Return the file of a cell's record, whether it is there or not."""
        return self.root / "records" / cell[:2] / f"{store_format.checked_key(cell)}.json"

    def _record_content(self, cell: str) -> bytes | None:
        # A plan asks for every cell, and most are not there.
        try:
            os.stat(f"{self._records}/{cell[:2]}/{store_format.checked_key(cell)}.json")  # noqa: PTH116
        except FileNotFoundError:
            return None
        except OSError:
            pass  # which is told where it is read
        path = self.record_path(cell)
        try:
            with os_errors_as_store_errors(f"the record of cell {cell} cannot be read", path, missing_ok=True):
                return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    # --- leases, logs, housekeeping --------------------------------------------------------------------------------

    def lease(self, key: str) -> leases.Lease | None:
        """Return the lease on a job, or None while another live process holds it."""
        return self.leases.acquire(store_format.checked_key(key))

    def log_path(self, key: str) -> Path:
        """Return the file of what a job printed and how it failed, whether it is there or not."""
        return self.root / "logs" / f"{store_format.checked_key(key)}.log"

    def put_log(self, key: str, text: str) -> None:
        """Keep what a job printed. A log that cannot be written is no reason to fail."""
        with contextlib.suppress(OSError):
            self.log_path(key).parent.mkdir(parents=True, exist_ok=True)
            self.log_path(key).write_text(text, encoding="utf-8", errors="replace")

    def log(self, key: str) -> str | None:
        """Return what a job printed, where that was kept."""
        with contextlib.suppress(OSError):
            return self.log_path(key).read_text(encoding="utf-8", errors="replace")
        return None

    def check_writable(self) -> None:
        """Raise `StoreError` where the store cannot be written: better before a training than after it."""
        with os_errors_as_store_errors("the store cannot be written", self.root):
            probe = self._staged("probe")
            try:
                atomic_files.write(probe, bytes(4096))
            finally:
                atomic_files.remove(probe)

    def sweep(self, older_than: float = DAY) -> None:
        """Remove what dead writers left behind and nobody touched for `older_than` seconds."""
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
        """The folder of temporary files; whoever asks for it is about to write, so the store is made here."""
        return store_format.create(self.root)


def _open(root: str, ttl: float) -> Store:
    return Store(root, ttl=ttl)


def _missing(key: str, path: Path) -> StoreError:
    return StoreError(f"artefact {key} is not in the store", where=str(path), fix="run again: it is made anew")
