"""Notes of a page on metrics that some of its records lack: made without them, with an earlier revision, or failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ltbench.leaderboard.tables.cell_text import place_text
from ltbench.leaderboard.tables.markdown import details, escape, fenced, last_lines
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.records.comparability import BoardKey
from ltbench.records.record import Failure, Record

LISTED = 20
"""Cells, and lines of a log, that are written out."""


class MissingMetric(msgspec.Struct, frozen=True):
    """A metric that cells lack, for one reason."""

    name: str
    error: Failure | None
    """Why it failed; None where the cells were made without it."""
    revision: int | None
    """The earlier revision that the cells have; None where they have no number of it."""
    cells: list[Record]

    @property
    def sentence(self) -> str:
        """What is missing, from how many cells and why, as plain text."""
        cells = "1 cell" if len(self.cells) == 1 else f"{len(self.cells)} cells"
        if self.error is not None:
            return f"metric '{self.name}' failed in {cells}: {self.error.message}"
        if self.revision is not None:
            return f"metric '{self.name}' is of revision {self.revision} in {cells}, and of a later one in others"
        were = "was" if len(self.cells) == 1 else "were"
        return f"metric '{self.name}' is missing from {cells}, which {were} made without it"


def missing_metrics(records: Iterable[Record]) -> list[MissingMetric]:
    """Return the metrics that some ok records have and others lack, or that failed, by name and reason."""
    made = [record for record in records if record.status == "ok"]
    revisions = [{p.name: p.revision for p in record.plugins if p.stage == "metric"} for record in made]
    latest: dict[str, int] = {}
    for found in revisions:
        latest |= {name: max(revision, latest.get(name, revision)) for name, revision in found.items()}
    groups: dict[tuple[str, str, int], MissingMetric] = {}
    for record, found in zip(made, revisions, strict=True):
        failed = {} if record.failed_metrics is msgspec.UNSET else record.failed_metrics
        for name in sorted(latest.keys() | failed.keys()):
            error, own = failed.get(name), found.get(name)
            # The number of that name may follow from others of the record.
            if error is None and (own == latest[name] or (own is None and record.score(name) is not None)):
                continue
            key = name, "" if error is None else error.message, own or 0
            groups.setdefault(key, MissingMetric(name, error, own, [])).cells.append(record)
    return [groups[key] for key in sorted(groups)]


def mark_missing_metrics(boards: Sequence[Board], missing: Sequence[MissingMetric]) -> list[Board]:
    """Return the boards with a note on each row of which a metric is missing."""
    lacking: dict[tuple[BoardKey, float, str], dict[str, int]] = {}
    for one in missing:
        for record in one.cells:
            row = lacking.setdefault((record.board, record.setting.imbalance_factor, record.label), {})
            row[one.name] = row.get(one.name, 0) + 1

    def marked(board: Board, table: Table) -> Table:
        rows = [_marked(row, table, lacking.get((board.key, table.factor or 0.0, row.label), {})) for row in table.rows]
        return msgspec.structs.replace(table, rows=rows)

    return [
        msgspec.structs.replace(board, tables=[marked(board, table) for table in board.tables]) if lacking else board
        for board in boards
    ]


def missing_metric_lines(missing: Sequence[MissingMetric]) -> Iterator[str]:
    """Yield the section of a page on metrics that are missing."""
    if not missing:
        return
    yield from ("## Missing metrics", "", "These cells have every other number.", "")
    for one in missing:
        yield from (f"- {escape(one.sentence)}", *(f"  - {text}" for text in _cells(one.cells)))
    yield ""
    if any(one.error is None for one in missing):
        yield from (
            "`ltbench run` derives a metric that is missing, without training, where the logits are stored.",
            "",
        )
    logs = {one.name: one.error.log for one in missing if one.error is not None and one.error.log}
    for name, log in logs.items():
        yield from (*details(f"Log of metric {escape(name)}", fenced("\n".join(last_lines(log, LISTED)))), "")


def _marked(row: Row, table: Table, lacking: dict[str, int]) -> Row:
    notes = [
        f"metric {name} is missing" + ("" if count >= table.expected else f" from {count} of {table.expected} runs")
        for name, count in sorted(lacking.items())
    ]
    return msgspec.structs.replace(row, notes=(*row.notes, *notes))


def _cells(cells: Sequence[Record]) -> Iterator[str]:
    places: dict[tuple[str, str, str], list[Record]] = {}
    for record in cells:
        place = place_text(record.setting.imbalance_factor, record.data)
        places.setdefault((record.label, place, record.setting.dataset), []).append(record)
    lines = [
        f"{escape(label)} at {place} ({escape(dataset)}): {'seed' if len(runs) == 1 else 'seeds'} "
        + ", ".join(str(record.setting.seed) for record in runs)
        for (label, place, dataset), runs in places.items()
    ]
    yield from lines[:LISTED]
    if len(lines) > LISTED:
        yield f"and {len(lines) - LISTED} combinations more"
