"""Leases: who works on what, among processes and machines that share a folder and nothing else.

A lease is a file that only one process can create. Its owner touches it every few seconds; one that was not touched
for a while is expired and may be taken over. Time is that of the file system, never of a machine: a lease is compared
with a file touched just now, so clocks may differ by hours.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ltbench.core.atomic_files import os_errors_as_store_errors
from ltbench.core.processes import process_start

TTL = 60.0
"""Seconds after which an untouched lease is expired."""
BEATS_PER_TTL = 12
_SLACK = 5.0
"""Seconds by which a lease may be ahead of the file system's clock and still count as touched just now."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The process that holds a lease. `place` is the same only for processes that can see each other."""

    place: str
    pid: int
    start: str
    nonce: str

    def is_here(self) -> bool:
        """Whether it runs, or ran, where this process can see it."""
        return self.place == _place()

    def is_same_process(self, other: Owner) -> bool:
        """Whether both leases are of one process; a number alone may have been given to another one since."""
        return (self.place, self.pid, self.start) == (other.place, other.pid, other.start)

    @property
    def host(self) -> str:
        """The name of its machine."""
        return self.place.partition(" ")[0]

    def is_dead(self) -> bool:
        """Whether it certainly is: it ran where this process runs, and is there no more."""
        return self.is_here() and process_start(self.pid) != self.start


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    owner: Owner | None
    """None while it is being written, or where that was cut short."""
    touched: float


class Lease:
    """A lease that this process holds until `release`, the end of its `with` block, or until it is `lost`."""

    def __init__(self, path: Path, nonce: str, ttl: float) -> None:
        self.path, self.nonce, self.ttl = path, nonce, ttl
        self.lost = False
        self._touched = time.monotonic()
        _heart.add(self)

    @property
    def idle(self) -> float:
        """Seconds since it was touched."""
        return time.monotonic() - self._touched

    def touch(self) -> None:
        """Show that the owner is alive; notice that the lease was taken over."""
        try:
            seen = _look(self.path)
            if seen is None or (seen.owner is not None and seen.owner.nonce != self.nonce):
                self.lost = True
                return
            os.utime(self.path)
            self._touched = time.monotonic()
        except OSError:
            return  # the next beat may succeed; if none does, the lease expires as it should

    def release(self) -> None:
        """Give the lease back, unless it is another's by now."""
        _heart.discard(self)
        if self.lost or self.idle > self.ttl / 2:
            # Untouched for so long, it may be taken over between a look and a removal: let it expire instead.
            return
        with contextlib.suppress(OSError):
            seen = _look(self.path)
            if seen is not None and seen.owner is not None and seen.owner.nonce == self.nonce:
                self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class Leases:
    """The leases in one folder. ttl: seconds after which an untouched lease is expired."""

    def __init__(self, folder: Path, ttl: float = TTL) -> None:
        self.folder, self.ttl = folder, ttl
        self._ahead: dict[tuple[str, float], float] = {}

    def path(self, key: str) -> Path:
        """Return the file of the lease on `key`."""
        return self.folder / f"{key}.lease"

    def acquire(self, key: str) -> Lease | None:
        """Return the lease on `key`, or None while another holds it. An expired one is taken over.

        Raises `StoreError` where leases cannot be written.
        """
        path = self.path(key)
        with os_errors_as_store_errors("a lease cannot be taken", path):
            if lease := self._create(path):
                return lease
            seen = _look(path)
            if seen is None:
                return self._create(path)
            return self._take_over(path) if self._is_stale(path, seen) else None

    def is_held(self, key: str) -> bool:
        """Whether a live process holds the lease on `key`."""
        path = self.path(key)
        with os_errors_as_store_errors("a lease cannot be read", path):
            seen = _look(path)
            return seen is not None and not self._is_stale(path, seen)

    def owner(self, key: str) -> Owner | None:
        """Return whose the lease on `key` is, dead or alive."""
        with contextlib.suppress(OSError):
            seen = _look(self.path(key))
            return seen.owner if seen else None
        return None

    def touched(self, key: str) -> float | None:
        """Return when the lease on `key` was touched last, by the file system's clock; None where there is none."""
        with contextlib.suppress(OSError):
            seen = _look(self.path(key))
            return seen.touched if seen else None
        return None

    def sweep(self, older_than: float) -> None:
        """Remove what dead processes left behind and nobody touched for `older_than` seconds."""
        now = self.now()
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                seen = _look(path)
                if seen is not None and now - seen.touched > older_than:
                    path.unlink()

    def _create(self, path: Path) -> Lease | None:
        try:
            nonce = self._write(path)
        except FileExistsError:
            return None
        return Lease(path, nonce, self.ttl)

    def _write(self, path: Path) -> str:
        """Create the file with this process as owner; return its nonce. Raises `FileExistsError`."""
        mine = Owner(place=_place(), pid=os.getpid(), start=process_start(os.getpid()), nonce=uuid.uuid4().hex)
        handle = self._open_new(path)
        try:
            os.write(handle, msgspec.json.encode(mine))
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(handle)
        return mine.nonce

    def _open_new(self, path: Path) -> int:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o666)

    def _take_over(self, path: Path) -> Lease | None:
        """Replace an expired lease. A guard lets one process at a time in, and it looks again before it acts."""
        guard = path.with_suffix(".guard")
        try:
            self._write(guard)
        except FileExistsError:
            seen = _look(guard)
            if seen is not None and self._is_stale(guard, seen):
                guard.unlink(missing_ok=True)  # its owner died inside; whoever asks next gets in
            return None
        fresh = path.with_name(f".{path.stem}-{uuid.uuid4().hex}")
        try:
            seen = _look(path)
            if seen is None:
                return self._create(path)
            if not self._is_stale(path, seen):
                return None
            nonce = self._write(fresh)
            fresh.replace(path)
            return Lease(path, nonce, self.ttl)
        finally:
            guard.unlink(missing_ok=True)
            fresh.unlink(missing_ok=True)

    def _is_stale(self, path: Path, seen: _Seen) -> bool:
        if seen.owner is not None and seen.owner.is_dead():
            return True
        age = self.now() - seen.touched
        if age >= -_SLACK:
            return age > self.ttl
        # Touched by a machine whose clock is ahead, on a file system without a clock of its own: such a lease is
        # expired when this process has seen it unchanged for long enough.
        first = self._ahead.setdefault((path.name, seen.touched), time.monotonic())
        return time.monotonic() - first > self.ttl

    def now(self) -> float:
        """Return the file system's time, in seconds. Raises `OSError` where nothing can be written."""
        probe = self.folder / f".clock-{uuid.uuid4().hex}"
        handle = self._open_new(probe)
        try:
            return os.fstat(handle).st_mtime
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)


class _Heart:
    """The one thread of a process that touches all of its leases."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        with self._changed:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="ltbench-leases", daemon=True)
                self._thread.start()
            self._changed.notify()

    def discard(self, lease: Lease) -> None:
        with self._changed:
            self._leases.discard(lease)

    def _beat(self) -> None:
        while True:
            with self._changed:
                pauses = [lease.ttl / BEATS_PER_TTL for lease in self._leases]
                self._changed.wait(min(pauses, default=None))
                due = [lease for lease in self._leases if lease.idle > lease.ttl / BEATS_PER_TTL]
            for lease in due:
                lease.touch()


_heart = _Heart()


def _look(path: Path) -> _Seen | None:
    """Return what a lease says, or None where there is none. Opening it has a network file system look afresh."""
    try:
        with path.open("rb") as file:
            content, status = file.read(), os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    try:
        owner = msgspec.json.decode(content, type=Owner)
    except msgspec.MsgspecError:
        owner = None
    return _Seen(owner=owner, touched=status.st_mtime)


@functools.cache
def _place() -> str:
    """Return what two processes share only where each can see whether the other is alive."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)
