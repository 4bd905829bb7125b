"""The learning curves of running trainings that are watched: one small file each, in the store's folder of temporary files.

A worker replaces the file of its training, an observer's process reads and removes it. It is never part of a result, so that no error
of its disk fails a job.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ltbench.core import atomic_files

if TYPE_CHECKING:
    from pathlib import Path

    from ltbench.store.store import Store

Curve = Mapping[str, list[float]]
EVERY = 1.0
"""Seconds between two files of a training, at least: an epoch may take milliseconds, and the disk may be far away."""


class LiveCurve:
    """Writes the curve of a training after its epochs."""

    def __init__(self, fit: str, store: Store) -> None:
        self._path, self._points, self._next = _path(store, fit), 0, 0.0

    def __call__(self, read: Callable[[], Curve]) -> None:
        """Write what `read` returns, if it has points that are not written yet and the last file is old enough."""
        if time.monotonic() < self._next:
            return
        curve = read()
        if (points := _points(curve)) > self._points:
            self._points, self._next = points, time.monotonic() + EVERY
            new = self._path.with_name(f"{self._path.name}-{uuid.uuid4().hex[:12]}")
            with contextlib.suppress(OSError):
                new.write_bytes(msgspec.json.encode(curve))
                new.replace(self._path)


def live_curve(fit: str, store: Store) -> Curve:
    """Return the points that are written of a running training; empty for none."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_path(store, fit).read_bytes(), type=dict[str, list[float]])
    return {}


def remove_live_curve(fit: str, store: Store) -> None:
    """Remove the file of a training that is over."""
    atomic_files.remove(_path(store, fit))


def points_after(curve: Curve, known: int) -> list[dict[str, float]]:
    """Return the points of a curve from number `known` on."""
    return [{name: values[number] for name, values in curve.items()} for number in range(known, _points(curve))]


def _points(curve: Curve) -> int:
    return min(map(len, curve.values()), default=0)


def _path(store: Store, fit: str) -> Path:
    return store.root / "staging" / f"{fit}-curve"
