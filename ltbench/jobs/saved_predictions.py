"""Publishes predictions beside records, so that anyone can recompute every metric.

    predictions/<key>.safetensors   logits float32 [N, C] and labels int64 [N], as the store has them
    predictions/counts.json         class counts of each fit's training images, by its key
    predictions/digest.json         size and SHA-256 of each of these files

A key is the identity of a prediction, which follows from the spec of the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np

from ltbench.core import atomic_files, checksums
from ltbench.core.spec import canonical, splits_of
from ltbench.errors import JobFailed, StoreError
from ltbench.jobs.cell import LOGITS, split_metrics
from ltbench.jobs.evidence import Needed
from ltbench.jobs.metrics import close, numbers_on_record
from ltbench.jobs.probabilities import Labelled, Member, predictions
from ltbench.records.record import Failure, Record
from ltbench.stages import Branches, View
from ltbench.store.store import Store

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import IntArray

T = TypeVar("T")
FOLDER: Final = "predictions"
_COUNTS = "counts.json"


class Predictions(Protocol):
    """A place to read predictions from."""

    def logits(self, key: str) -> bytes | None:
        """Return the file of a prediction, or None if it is missing; raise `JobFailed` if it was changed."""

    def counts(self, fit: str) -> list[int] | None:
        """Return the class counts of a fit's training images; raise `JobFailed` if they were changed."""


class FolderPredictions:
    """Predictions beside a records file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def logits(self, key: str) -> bytes | None:
        return self._content(f"{key}.safetensors")

    def counts(self, fit: str) -> list[int] | None:
        return self._counts.get(fit)

    @cached_property
    def _counts(self) -> dict[str, list[int]]:
        content = self._content(_COUNTS)
        try:
            return {} if content is None else msgspec.json.decode(content, type=dict[str, list[int]])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JobFailed(f"{_COUNTS} cannot be read", where=str(self.path / _COUNTS), why=str(error)) from None

    def _content(self, name: str) -> bytes | None:
        if not (self.path / name).is_file():
            return None
        content = checksums.read_checked(self.path, FOLDER, name)
        if content is None:
            raise JobFailed(
                f"stored prediction {name} was changed: it does not match {checksums.NAME}", where=str(self.path / name)
            )
        return content


class StorePredictions:
    """Predictions in a store. Nothing is quarantined: an audit must not change the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def logits(self, key: str) -> bytes | None:
        return self._content(key, LOGITS)

    def counts(self, fit: str) -> list[int] | None:
        content = self._content(fit, "meta.json")
        if content is None:
            return None
        counts: list[int] = msgspec.json.decode(content)["data"]["counts"]
        return counts

    def _content(self, key: str, name: str) -> bytes | None:
        path = self.store.path(key)
        if not path.exists():
            return None
        content = checksums.read_checked(path, key, name)
        if content is None:
            raise JobFailed(
                f"{name} of artefact {key} was changed: it does not match its digest", where=str(path / name)
            )
        return content


def keys_of_members(record: Record, registry: Techniques) -> list[dict[str, list[str]]]:
    """Return, for each member of a cell, the keys of its predictions by split, in the order of the views."""
    names = list(registry.build_as(record.spec["view"], View).views())
    return Needed.by_cell(record.spec, record.fits[0]["data"], registry).keys(record.spec, names)


def _flat(keys: Iterable[Mapping[str, Iterable[str]]]) -> list[str]:
    return [key for member in keys for of_split in member.values() for key in of_split]


class Recomputed(NamedTuple):
    """Labels and metrics of a cell, computed from its predictions."""

    labels: dict[str, IntArray]
    """By split."""
    numbers: dict[str, object]
    """Numbers by name: `top1`, `per_class.f1`, `confusion`."""
    failed: dict[str, Failure]
    """Metrics that failed here."""


def recompute(record: Record, registry: Techniques, stored: Predictions) -> Recomputed | None:
    """Recompute every metric of a cell from its predictions; None if one of them is missing.

    Raises `JobFailed` if a file was changed or has a wrong shape or range.
    """
    whole = np.asarray(record.data.get("counts", []), dtype=np.int64)
    predicted = predictions_of(record, registry, stored)
    if predicted is None:
        return None
    results = split_metrics(registry, predicted, whole)
    return Recomputed({split: one.labels for split, one in predicted.items()}, results.by_name, results.failed)


def predictions_of(record: Record, registry: Techniques, stored: Predictions) -> dict[str, Labelled] | None:
    """Return labels and probabilities of a cell by split, from its predictions; None if one of them is missing.

    Raises `JobFailed` if a file was changed or has a wrong shape or range.
    """
    counts = [stored.counts(fit) for fit in record.spec["members"]]
    if None in counts:
        return None
    keys = keys_of_members(record, registry)
    content = {key: stored.logits(key) for key in _flat(keys)}
    found = {key: logits for key, logits in content.items() if logits is not None}
    if len(found) < len(content):
        return None
    members = [
        Member(np.asarray(n, np.int64), predicted, fit.get(Branches.stage), tuple(record.data.get("classes", ())))
        for n, predicted, fit in zip(counts, keys, record.fits, strict=True)
    ]
    # The same functions as in a run, so that an audit does not compare two implementations.
    return predictions(
        registry, record.spec, members, found.__getitem__, splits_of(record.spec, record.fits[0]["data"])
    )


def contradictions(record: Record, again: Recomputed) -> tuple[list[str], list[str]]:
    """Return the numbers of a record that contradict its predictions, and those that no installed metric computes."""
    wrong, unknown = [], []
    for name, value in numbers_on_record(record).items():
        if name not in again.numbers:
            unknown.append(name)
        elif not close(value, again.numbers[name]):
            shown = f" is {value} on record but {again.numbers[name]} from the predictions" * (name in record.metrics)
            wrong.append(f"{name}{shown}")
    return wrong, unknown


def export(records: Iterable[Record], store: Store, registry: Techniques, folder: Path) -> tuple[int, list[Record]]:
    """Write the predictions of successful records into `folder` atomically, replacing its content.

    Return the number of predictions, and the records whose predictions the store lacks. Raises `StoreError` if a file
    cannot be written, or is damaged in the store.
    """
    counts: dict[str, list[int]] = {}
    wanted: dict[str, None] = {}
    missing: list[Record] = []
    stored = StorePredictions(store)
    for record in records:
        if record.status != "ok":
            continue
        # An audit would fail with only some of a cell's predictions, so either all or none are published.
        fit_counts = {fit: _read_stored(stored.counts, fit) for fit in record.spec["members"]}
        views = _flat(keys_of_members(record, registry))
        if None in fit_counts.values() or not all(map(store.has, views)):
            missing.append(record)
            continue
        counts |= {fit: found for fit, found in fit_counts.items() if found is not None}
        wanted |= dict.fromkeys(views)
    if wanted:
        _write(folder, counts, ((key, _read_stored(stored.logits, key)) for key in wanted))
    return len(wanted), missing


def _read_stored(read: Callable[[str], T], key: str) -> T:
    try:
        return read(key)
    except JobFailed as error:
        raise StoreError(error.what, where=error.where, fix="ltbench run recomputes it") from None


def _write(folder: Path, counts: dict[str, list[int]], content: Iterable[tuple[str, bytes | None]]) -> None:
    staging = folder.with_name(f".{folder.name}.new")
    with atomic_files.os_errors_as_store_errors(
        "predictions cannot be written", folder, elsewhere=atomic_files.OTHER_TARGET
    ):
        atomic_files.remove(staging)
        staging.mkdir(parents=True)
        try:
            for key, logits in content:
                atomic_files.write(staging / f"{key}.safetensors", logits or b"")
            atomic_files.write(staging / _COUNTS, canonical(counts))
            checksums.seal(staging, FOLDER)
            atomic_files.remove(folder)
            atomic_files.move(staging, folder)
        finally:
            atomic_files.remove(staging)
