"""The part of a page on the files that its data sets were read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ltbench.core.words import dropped
from ltbench.data_report import DataReport
from ltbench.errors import RecordError
from ltbench.leaderboard.tables.markdown import details, escape, plain_table
from ltbench.records.record import Record


def data_lines(records: Iterable[Record]) -> list[str]:
    """Return what each data set found in its files, folded; nothing for data sets that do not say it."""
    first: dict[tuple[str, str], Record] = {}
    losses: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        if record.data.get("report"):
            key = record.setting.dataset, record.fingerprint
            first.setdefault(key, record)
            losses.setdefault(key, {}).update(dict.fromkeys(_loss(record)))
    lines = [
        line
        for key, record in first.items()
        for line in (*losses[key], *([""] if losses[key] else []), *_section(key[0], record), "")
    ]
    return ["## Images that were read", "", *lines] if lines else []


def _loss(record: Record) -> Iterator[str]:
    """Yield how many training images the profile of a record drops; nothing if it keeps all."""
    setting, report = record.setting, _report(record)
    kept = list(record.data["counts"])
    # Text is the data set's own validation split, which is not drawn from the training images.
    if not isinstance(record.fits[0]["data"].get("held_out"), str):
        kept = list(map(sum, zip(kept, record.data.get("held_out", [0] * len(kept)), strict=True)))
    if text := dropped(kept, report.train, record.data["classes"]):
        what = f"{setting.dataset}: {setting.profile} at imbalance factor {setting.imbalance_factor:g} {text}"
        yield f"- {escape(what)}"


def _report(record: Record) -> DataReport:
    try:
        return msgspec.convert(record.data["report"], DataReport)
    except msgspec.ValidationError as error:
        raise RecordError("the report on the data of a record is malformed", where=record.id, why=str(error)) from None


def _section(dataset: str, record: Record) -> list[str]:
    report = _report(record)
    try:
        rows = [[escape(cell) for cell in row] for row in report.rows(record.data["classes"])]
    except ValueError as error:
        raise RecordError("the report on the data of a record is malformed", where=record.id, why=str(error)) from None
    table = plain_table(report.columns, rows, right=range(1, len(report.columns)))
    remarks = [f"- {escape(remark)}" for remark in report.remarks()]
    warnings = [line for warning in report.warnings for line in (f"**{escape(warning)}**", "")]
    return [
        *warnings,
        *details(f"{escape(dataset)}: {report.summary()}", [*table, *([""] if remarks else []), *remarks]),
    ]
