"""Checks records as far as possible without training.

Every line is checked, even if others are invalid, and each finding names its line or cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.columns import TOP1
from ltbench.core.words import counted
from ltbench.errors import DataError, JobFailed, LtbenchError, PluginError, RecordError
from ltbench.jobs.described import description
from ltbench.jobs.held_out import check_own_split, divided_counts, has_own_split
from ltbench.jobs.saved_predictions import (
    FOLDER,
    FolderPredictions,
    Predictions,
    StorePredictions,
    contradictions,
    recompute,
)
from ltbench.records.agreement import result_digest
from ltbench.records.locations import RecordsLocation
from ltbench.records.numbers import READABLE
from ltbench.records.record import Record
from ltbench.records.records_file import Invalidation, of_entries, parse_line
from ltbench.registry.differences import differences
from ltbench.stages import Dataset, Profile
from ltbench.store.store import Store
from ltbench.verification.choices import choice_findings
from ltbench.verification.finding import Finding
from ltbench.verification.rerun import installed

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import IntArray

_CLOSE = 1e-9


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """The results of an audit."""

    findings: list[Finding]
    records: list[Record]
    """All readable records that were not invalidated, in canonical order."""
    sound: list[Record]
    """The successful records without a finding, whose plugins are all installed."""
    recomputed: list[str]
    """Cells whose metrics were recomputed from stored predictions."""


def examine(place: RecordsLocation, registry: Techniques, data_root: Path) -> Examined:
    """Check every record at a location. Raises `RecordError` if its file cannot be read at all."""
    findings: list[Finding] = []
    entries: list[Record | Invalidation] = []
    for where, text in place.lines():
        try:
            entries.append(parse_line(text, where))
        except RecordError as error:
            findings.append(Finding("wrong", error.where or where, _text(error)))
    valid = of_entries(entries)
    findings += _duplicates(valid.records)
    examiner = _Examiner(registry, data_root, _predictions(place))
    sound: list[Record] = []
    for record in valid.records:
        against = list(examiner.examine(record))
        findings += against
        if record.status == "ok" and not any(finding.level != "note" for finding in against):
            sound.append(record)
    if examiner.without:
        findings.append(Finding("note", "predictions", f"missing for {counted(examiner.without, 'cell')}"))
    findings += choice_findings(place, valid.records, registry)
    refuted = {finding.where for finding in findings if finding.level != "note"}
    return Examined(
        findings=list(dict.fromkeys(findings)),
        records=valid.records,
        sound=[record for record in sound if _cell(record) not in refuted],
        recomputed=sorted(examiner.recomputed),
    )


class _Examiner:
    """Checks records one by one, and caches what they have in common."""

    def __init__(self, registry: Techniques, data_root: Path, stored: Predictions | None) -> None:
        self.registry, self.data_root, self.stored = registry, data_root, stored
        self.recomputed: set[str] = set()
        self.without = 0
        """Number of cells without predictions, if others have some."""
        self._current: dict[tuple[str, str], dict[str, object]] = {}
        self._labels: dict[tuple[str, str], IntArray | str] = {}

    def examine(self, record: Record) -> Iterable[Finding]:
        where = _cell(record)
        try:
            installed(record, self.registry)
        except PluginError as error:
            yield Finding("unknown", where, _text(error))
            return
        for text in differences(map(msgspec.to_builtins, record.plugins), self.registry, self._current):
            yield Finding("note", "plugins", text)
        if record.status != "ok":
            return
        try:
            yield from (Finding("wrong", where, what) for what in _inner_contradictions(record))
            yield from self.data(record, where)
            yield from self.predictions(record, where)
        except JobFailed as error:
            yield Finding("wrong", where, _text(error))

    def data(self, record: Record, where: str) -> Iterable[Finding]:
        """Compare a record's data with the description of the data set."""
        data = record.fits[0]["data"]
        try:
            info = description(self.registry.build_as(data["dataset"], Dataset), self.data_root)
        except DataError as error:
            yield Finding("note", record.setting.dataset, f"not compared with the data: {error.what}")
            return
        if info.fingerprint != data["fingerprint"]:
            what = (
                f"made with data of fingerprint {data['fingerprint']}, but the fingerprint here is {info.fingerprint}"
            )
            yield Finding("unknown", where, what)
            return
        profile = self.registry.build_as(data["profile"], Profile)
        try:
            counts, held_out = divided_counts(data, info, profile)
        except DataError as error:
            yield Finding("unknown", where, _text(error))
            return
        if info.train_units and "held_out" in data and not has_own_split(data):
            # Whole units are held out, so their numbers are not those of a share of each class.
            sums = [a + b for a, b in zip(counts, held_out, strict=True)]
            counts, held_out = (record.data.get(name, []) for name in ("counts", "held_out"))
            if [a + b for a, b in zip(counts, held_out, strict=False)] != sums:
                yield Finding("wrong", where, f"data.counts and data.held_out do not add up to {_listed(sums)}")
                return
        if record.data.get("counts") != counts:
            said = _listed(record.data.get("counts"))
            yield Finding("wrong", where, f"data.counts is {said}, but the profile gives {_listed(counts)}")
        if record.data.get("held_out", [0] * len(held_out)) != held_out:
            said = _listed(record.data.get("held_out"))
            what = f"data.held_out is {said}, but {_listed(held_out)} images are held out"
            yield Finding("wrong", where, what)
        splits = {"test": (record.confusion, list(info.test_counts))}
        if record.held_out is not msgspec.UNSET:
            splits["held-out"] = record.held_out.confusion, held_out
        for split, (confusion, images) in splits.items():
            support = images if confusion is None else confusion.support.tolist()
            if support != images:
                what = f"confusion covers {_listed(support)} {split} images per class, but the data set has {_listed(images)}"
                yield Finding("wrong", where, what)

    def predictions(self, record: Record, where: str) -> Iterable[Finding]:
        """Recompute every metric if the record comes with predictions."""
        if self.stored is None:
            return
        recomputed = recompute(record, self.registry, self.stored)
        if recomputed is None:
            self.without += 1
            return
        self.recomputed.add(record.id)
        for fit, spec in zip(record.spec["members"], record.fits, strict=True):
            if spec["bag"] is None and self.stored.counts(fit) != record.data.get("counts"):
                yield Finding("wrong", where, f"the predictions of fit {fit} have other class counts")
        wrong, unknown = contradictions(record, recomputed)
        yield from (Finding("wrong", where, what) for what in wrong)
        if unknown:
            failing = "".join(f"; {failure.message}" for failure in recomputed.failed.values())
            yield Finding("unknown", where, f"no installed plugin computes {', '.join(unknown)}{failing}")
        for split, found in recomputed.labels.items():
            labels = self.labels(record, split)
            if isinstance(labels, str):
                yield Finding("note", record.setting.dataset, labels)
            elif not np.array_equal(labels, found):
                images = split.replace("_", "-")
                yield Finding("wrong", where, f"labels of the predictions differ from those of the {images} images")

    def labels(self, record: Record, split: str) -> IntArray | str:
        """Return the labels of the images of a split, or the reason why they are not available."""
        from ltbench.engine.dataset_arrays import prepare

        data = record.fits[0]["data"]
        dataset = self.registry.build_as(data["dataset"], Dataset)
        part = "test_labels" if split == "test" else "valid_labels"
        place = record.setting.dataset, part
        try:
            if split == "held_out" and has_own_split(data):
                check_own_split(data["held_out"], dataset.info(self.data_root), record.setting.dataset)
            elif split == "held_out":
                held_out = record.data["held_out"]  # compared with the data set in `data`
                return np.repeat(np.arange(len(held_out)), held_out)  # drawn class by class, as the subset is
            if place not in self._labels:
                self._labels[place] = np.asarray(getattr(prepare(dataset, self.data_root), part), dtype=np.int64)
        except DataError as error:
            self._labels[place] = f"labels not compared with the data: {error.what}"
        return self._labels[place]


def _listed(counts: Sequence[int] | None) -> str:
    """Return counts of classes, the first ones of very many."""
    if counts is None or len(counts) <= READABLE:
        return str(counts)
    return f"[{', '.join(map(str, counts[:READABLE]))}, ... of {len(counts):,}]"


def _inner_contradictions(record: Record) -> Iterable[str]:
    """Yield contradictions between the numbers of a record."""
    confusion = record.confusion
    if confusion is None:
        return
    right, images = int(confusion.hits.sum()), int(confusion.images.sum())
    said = record.metrics.get(TOP1)
    if images and said is not None and abs(said - right / images) > _CLOSE:
        yield f"{TOP1} is {said}, but the confusion matrix gives {right / images}"


def _duplicates(records: Sequence[Record]) -> Iterable[Finding]:
    first_by_id: dict[str, Record] = {}
    for record in records:
        first = first_by_id.setdefault(record.id, record)
        if first is not record and result_digest(first) != result_digest(record):
            yield Finding("wrong", _cell(record), "two records with different numbers")


def _predictions(place: RecordsLocation) -> Predictions | None:
    if place.kind == "store":
        return StorePredictions(Store(place.path))
    folder = place.file.parent / FOLDER
    return FolderPredictions(folder) if folder.is_dir() else None


def _cell(record: Record) -> str:
    s = record.setting
    return f"cell {record.id} ({record.label}, imbalance factor {s.imbalance_factor:g}, seed {s.seed})"


def _text(error: LtbenchError) -> str:
    return f"{error.what} ({error.why})" if error.why else error.what
