"""Notes of a page on verified, self-reported and withdrawn numbers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ltbench.leaderboard.tables.cell_text import place_text
from ltbench.leaderboard.tables.markdown import code, escape
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.records.comparability import BoardKey
from ltbench.records.record import Record
from ltbench.records.records_file import RecordsFile
from ltbench.records.verifications import Verification, VerificationStatus

SELF_REPORTED = "self-reported"


class VerificationNotes(msgspec.Struct, frozen=True, kw_only=True):
    """Which records of a suite are verified or withdrawn, in words."""

    provenance: list[str] = []
    """Sentences, as plain text with code between backticks."""
    withdrawn: list[tuple[Record, str]] = []
    """Withdrawn records, each with the reason."""


def verification_notes(content: RecordsFile, standing: VerificationStatus) -> VerificationNotes:
    """Return the notes on the records of a suite."""
    withdrawn = [
        (
            record,
            "; ".join(f"{each.reason} ({each.by})" if each.by else each.reason for each in content.reasons(record)),
        )
        for record in content.withdrawn
    ]
    return VerificationNotes(provenance=_provenance(content.records, standing), withdrawn=withdrawn)


def mark_self_reported(boards: Sequence[Board], records: Sequence[Record], standing: VerificationStatus) -> list[Board]:
    """Return the boards with a note on each self-reported row, unless all rows are."""
    # Where all rows are self-reported, one sentence above the tables says so.
    if not standing.valid:
        return list(boards)
    lacking = {
        (record.board, factor, record.label)
        for record in records
        if record.status == "ok" and not standing.covers(record)
        for factor in (record.setting.imbalance_factor, None)
    }
    return [_mark_board(board, lacking) for board in boards]


def withdrawn_lines(notes: VerificationNotes) -> list[str]:
    """Return the section of a page on withdrawn cells."""
    if not notes.withdrawn:
        return []
    lines = [
        f"- `{record.id}` {escape(record.label)}, {place_text(record.setting.imbalance_factor, record.data)}, "
        f"seed {record.setting.seed}: {escape(reason)}"
        for record, reason in notes.withdrawn
    ]
    return ["## Withdrawn cells", "", "These cells count as missing; their records stay in the file.", "", *lines, ""]


def _mark_board(board: Board, lacking: set[tuple[BoardKey, float | None, str]]) -> Board:
    def noted(table: Table) -> Table:
        rows = [
            msgspec.structs.replace(row, notes=(*row.notes, SELF_REPORTED))
            if (board.key, table.factor, row.label) in lacking
            else row
            for row in table.rows
        ]
        return msgspec.structs.replace(table, rows=rows)

    across = None if board.across is None else noted(board.across)
    return msgspec.structs.replace(board, tables=[noted(table) for table in board.tables], across=across)


def _provenance(records: Sequence[Record], standing: VerificationStatus) -> list[str]:
    made = [record for record in records if record.status == "ok"]
    covered = sum(standing.covers(record) for record in made)
    said = [f"Reruns are claimed: {_claimed(one)}." for one in standing.valid]
    if said:
        said.append("Nobody has signed that; `ltbench verify --rerun N` does it again.")
    if covered < len(made) or not made:
        which = "The rows with that note" if covered else "All rows"
        said.append(f"{which} are {SELF_REPORTED}: not independently re-run.")
    said += [
        f"The claim of {_short(one)} is void: cell {code(cell)} has since changed or disappeared."
        for one, cell in standing.void
    ]
    return said


def _short(one: Verification) -> str:
    """Return a claim as a page names it. It comes from a file that anybody can write."""
    again = f"{len(one.rerun)} of {len(one.cells)} cells rerun"
    return f"ltbench {escape(one.ltbench)}, records {code(one.records[:12])}, {again}"


def _claimed(one: Verification) -> str:
    gaps = [again.gap for again in one.rerun if not again.same and again.gap is not None]
    how = "all numbers equal" if not gaps else f"top-1 within {100 * max(gaps):.2f} points"
    return f"{_short(one)}, {how}" + (f", {one.recomputed} recomputed from predictions" if one.recomputed else "")
