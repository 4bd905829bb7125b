"""What a page says of a search: also of cells that another search or run has added to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ltbench.records.comparability import TUNED
from ltbench.records.record import Record
from ltbench.records.search_file import Searched


def with_cells_of_page(searched: Searched, records: Iterable[Record]) -> Searched:
    """Return what was run, with all cells of the page.

    A page keeps the cells of earlier runs: of a search with a larger budget, or of merged records. No combination with a
    row is said to be never run.
    """
    found = Counter(
        (f"{record.setting.dataset}, {record.setting.profile}, {record.setting.model}", record.label)
        for record in records
        if TUNED not in record.combination
    )
    rows = []
    for row in searched.rows:
        cells = max(row.cells, found[row.board, row.combination])
        if cells and row.state == "never run":
            row = msgspec.structs.replace(  # noqa: PLW2901 - the same row
                row, state="not compared", why="its cells are of another run or search"
            )
        rows.append(msgspec.structs.replace(row, cells=cells))
    total = max(searched.cells, min(sum(row.cells for row in rows), searched.all_cells))
    return msgspec.structs.replace(searched, rows=rows, cells=total)
