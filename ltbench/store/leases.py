"""Leases: which process works on which job, among machines that only share a folder.

A lease is a file that only one process can create. Its owner touches it every few seconds; an untouched lease expires
and may be taken over. Ages use only the file system's clock: a lease is compared with a file touched just now, so the
clocks of machines may differ by hours.
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
from typing import Self

import msgspec

from ltbench.core.atomic_files import os_errors_as_store_errors
from ltbench.core.processes import process_start

TTL = 60.0
"""Seconds after which an untouched lease expires."""
BEATS_PER_TTL = 12
"""Touches in that time: several may fail on a stalled disk before a lease is lost."""
_SLACK = 5.0
"""Seconds by which a lease may be ahead of the file system's clock and count as just touched."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The process that holds a lease. Processes with the same `place` can see each other."""

    place: str
    pid: int
    start: str
    nonce: str

    def is_here(self) -> bool:
        """Whether this process can see the owner: same machine, boot and process namespace."""
        return self.place == _place()

    def is_same_process(self, other: Owner) -> bool:
        """Whether both leases belong to one process. Process ids alone may be reused."""
        return (self.place, self.pid, self.start) == (other.place, other.pid, other.start)

    @property
    def host(self) -> str:
        """The host name of its machine."""
        return self.place.partition(" ")[0]

    def is_dead(self) -> bool:
        """Whether the owner is known to be dead: this process could see it, and it is gone."""
        return self.is_here() and process_start(self.pid) != self.start


class _LeaseFile(msgspec.Struct, frozen=True, kw_only=True):
    owner: Owner | None
    """None while the file is being written, or if the writer was killed."""
    touched: float


class Lease:
    """A lease held by this process until `release`, the end of its `with` block, or until it is `lost`."""

    def __init__(self, path: Path, nonce: str, ttl: float) -> None:
        self.path, self.nonce, self.ttl = path, nonce, ttl
        self.lost = False
        self._touched = time.monotonic()
        _heartbeat.add(self)

    @property
    def idle(self) -> float:
        """Seconds since this process touched it."""
        return time.monotonic() - self._touched

    def touch(self) -> None:
        """Renew the lease, and notice if another process has taken it over."""
        try:
            file = _read(self.path)
            if file is None or (file.owner is not None and file.owner.nonce != self.nonce):
                self.lost = True
                return
            os.utime(self.path)
            self._touched = time.monotonic()
        except OSError:
            return  # the next touch may succeed; otherwise the lease expires

    def release(self) -> None:
        """Release the lease, unless another process has taken it over."""
        _heartbeat.discard(self)
        if self.lost or self.idle > self.ttl / 2:
            # An old lease may be taken over between reading and removing it, so let it expire.
            return
        with contextlib.suppress(OSError):
            file = _read(self.path)
            if file is not None and file.owner is not None and file.owner.nonce == self.nonce:
                self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Leases:
    """The leases in one folder. ttl: seconds after which an untouched lease is expired."""

    def __init__(self, folder: Path, ttl: float = TTL) -> None:
        self.folder, self.ttl = folder, ttl
        # When this process first saw leases that are ahead of the file system's clock.
        self._ahead: dict[tuple[str, float], float] = {}

    def path(self, key: str) -> Path:
        """Return the file of the lease on `key`."""
        return self.folder / f"{key}.lease"

    def acquire(self, key: str) -> Lease | None:
        """Return the lease on `key`, or None if another process holds it. Expired leases are taken over.

        Raises `StoreError` if leases cannot be written.
        """
        path = self.path(key)
        with os_errors_as_store_errors("cannot acquire a lease", path):
            if lease := self._create(path):
                return lease
            file = _read(path)
            if file is None:  # released in the meantime
                return self._create(path)
            return self._take_over(path) if self._is_stale(path, file) else None

    def is_held(self, key: str) -> bool:
        """Whether a live process holds the lease on `key`."""
        path = self.path(key)
        with os_errors_as_store_errors("a lease cannot be read", path):
            file = _read(path)
            return file is not None and not self._is_stale(path, file)

    def owner(self, key: str) -> Owner | None:
        """Return the owner of the lease on `key`, dead or alive."""
        with contextlib.suppress(OSError):
            file = _read(self.path(key))
            return file.owner if file else None
        return None

    def touched(self, key: str) -> float | None:
        """Return when the lease on `key` was last touched, by the file system's clock; None if there is none."""
        with contextlib.suppress(OSError):
            file = _read(self.path(key))
            return file.touched if file else None
        return None

    def sweep(self, older_than: float) -> None:
        """Remove files of dead processes, untouched for `older_than` seconds."""
        now = self.now()
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                file = _read(path)
                if file is not None and now - file.touched > older_than:
                    path.unlink()

    def _create(self, path: Path) -> Lease | None:
        try:
            nonce = self._write(path)
        except FileExistsError:
            return None
        return Lease(path, nonce, self.ttl)

    def _write(self, path: Path) -> str:
        """Create the file with this process as owner; return its nonce. Raises `FileExistsError`."""
        owner = Owner(place=_place(), pid=os.getpid(), start=process_start(os.getpid()), nonce=uuid.uuid4().hex)
        handle = self._open_new(path)
        # A process that is killed between these two lines leaves an empty lease, which expires like others.
        try:
            os.write(handle, msgspec.json.encode(owner))
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(handle)
        return owner.nonce

    def _open_new(self, path: Path) -> int:
        # O_EXCL is exclusive on network file systems, too.
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o666)

    def _take_over(self, path: Path) -> Lease | None:
        """Replace an expired lease. A guard file admits one process at a time, which checks again."""
        guard = path.with_suffix(".guard")
        try:
            self._write(guard)
        except FileExistsError:
            file = _read(guard)
            if file is not None and self._is_stale(guard, file):
                guard.unlink(missing_ok=True)  # its owner died; the next attempt is admitted
            return None
        fresh = path.with_name(f".{path.stem}-{uuid.uuid4().hex}")
        try:
            file = _read(path)
            if file is None:
                return self._create(path)
            if not self._is_stale(path, file):
                return None
            nonce = self._write(fresh)
            fresh.replace(path)
            return Lease(path, nonce, self.ttl)
        finally:
            guard.unlink(missing_ok=True)
            fresh.unlink(missing_ok=True)

    def _is_stale(self, path: Path, file: _LeaseFile) -> bool:
        if file.owner is not None and file.owner.is_dead():
            return True
        age = self.now() - file.touched
        if age >= -_SLACK:
            return age > self.ttl
        # Touched by a machine whose clock is ahead, on a file system that uses the time of its clients: such a lease
        # is expired once this process has watched it unchanged for the whole TTL.
        first = self._ahead.setdefault((path.name, file.touched), time.monotonic())
        return time.monotonic() - first > self.ttl

    def now(self) -> float:
        """Return the file system's time in seconds. Raises `OSError` if the folder is not writable."""
        probe = self.folder / f".clock-{uuid.uuid4().hex}"
        handle = self._open_new(probe)
        try:
            return os.fstat(handle).st_mtime
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)


class _Heartbeat:
    """The thread of a process that touches all its leases."""

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
                # Without leases, the thread sleeps until one is added.
                self._changed.wait(min(pauses, default=None))
                due = [lease for lease in self._leases if lease.idle > lease.ttl / BEATS_PER_TTL]
            # Outside the lock, so that a slow disk does not delay other threads.
            for lease in due:
                lease.touch()


_heartbeat = _Heartbeat()


def _read(path: Path) -> _LeaseFile | None:
    """Return the content of a lease, or None if there is none."""
    # Opening the file makes a network file system drop its cached attributes; `stat` alone would not.
    try:
        with path.open("rb") as stream:
            content, status = stream.read(), os.fstat(stream.fileno())
    except FileNotFoundError:
        return None
    try:
        owner = msgspec.json.decode(content, type=Owner)
    except msgspec.MsgspecError:
        owner = None
    return _LeaseFile(owner=owner, touched=status.st_mtime)


@functools.cache
def _place() -> str:
    """Return a text that is equal for two processes only if they can see each other."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)
