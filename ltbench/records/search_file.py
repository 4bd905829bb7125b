"""What a search has run, and what it has not, beside the records of its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ltbench.records import shape
from ltbench.records.json_file import read_json
from ltbench.records.written_files import write_atomic

FILE: Final = "search.json"
State = Literal["in the lead", "surely worse", "stopped half-way", "failed", "undefined", "not compared", "never run"]
"""undefined: a cell has no number to compare by; not compared: its cells on the page are of another run or search."""


class SearchedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A combination of a search."""

    combination: shape.Label
    """As the page writes it."""
    board: shape.Label
    """Data set, profile and model."""
    state: State
    cells: shape.Count
    """Its cells that were run, also those that failed."""
    why: shape.Line = ""
    is_best: bool = False
    """Whether the search recommends it: the best of those that were run, as far as the search knows."""


class Searched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search."""

    schema: Literal[1] = 1
    on: Literal["test", "held_out"]
    """The images on which rows were compared."""
    metric: shape.Label
    rounds: shape.Count
    cells: shape.Count
    """Cells that were run."""
    all_cells: shape.BigCount
    """Cells of all combinations, also those left out of the comparison, at all factors with all seeds."""
    passes: shape.BigReal
    """Cost of the cells that were run, in forward passes of an image, with shared trainings."""
    ended: shape.Line
    """Why the search ended."""
    halves: shape.Line = ""
    """What was found about short trainings; empty if it was not tried."""
    rows: Annotated[list[SearchedRow], Meta(max_length=1_000_000)]
    beyond: shape.BigCount = 0
    """Combinations of the suite beyond those that a search takes, which are the simple ones."""


def write_search(path: Path, searched: Searched) -> None:
    """Write the file."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(searched), indent=1) + b"\n")


def read_search(path: Path) -> Searched | None:
    """Return what a search has run; None if there is no file. Raises `RecordError` naming the file."""
    if not path.is_file():
        return None
    return read_json(path, Searched, "what a search has run cannot be read")
