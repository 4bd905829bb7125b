"""The part of a page on the files that its data sets were read from."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.data_report import DataReport
from ltbench.errors import RecordError
from ltbench.leaderboard.tables.markdown import details, escape, plain_table
from ltbench.records.record import Record


def data_lines(records: Iterable[Record]) -> list[str]:
    """Return what each data set found in its files, folded; nothing for data sets that do not say it."""
    first: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.data.get("report"):
            first.setdefault((record.setting.dataset, record.fits[0]["data"]["fingerprint"]), record)
    lines = [line for (dataset, _), record in first.items() for line in (*_section(dataset, record), "")]
    return ["## Images that were read", "", *lines] if lines else []


def _section(dataset: str, record: Record) -> list[str]:
    try:
        report = msgspec.convert(record.data["report"], DataReport)
        rows = [[escape(cell) for cell in row] for row in report.rows(record.data["classes"])]
    except (msgspec.ValidationError, ValueError) as error:
        raise RecordError("the report on the data of a record is malformed", where=record.id, why=str(error)) from None
    table = plain_table(report.columns, rows, right=range(1, len(report.columns)))
    remarks = [f"- {escape(remark)}" for remark in report.remarks()]
    return details(f"{escape(dataset)}: {report.summary()}", [*table, *([""] if remarks else []), *remarks])
