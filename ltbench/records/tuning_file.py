"""How rows of a page were tuned: a line for each row and imbalance factor, beside the records."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ltbench.core.spec import canonical
from ltbench.errors import RecordError
from ltbench.records import shape
from ltbench.records.lines import parse_object, parsed_lines, read_lines
from ltbench.records.written_files import write_atomic

FILE: Final = "tuning.jsonl"
MOST_TRIALS: Final = 100_000
"""Trials of a row that a file can have."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trial of a row."""

    values: Annotated[dict[shape.Key, float | shape.Integer | shape.Label | bool], Meta(max_length=100)]
    """The value of each hyper-parameter: `lr`, `focal.gamma`; empty for the defaults."""
    cells: Annotated[list[shape.Id], Meta(max_length=10_000)]
    """Its cells, one for each pair of seeds."""
    score: shape.Number
    """The metric on held-out images, the mean over these cells; None if one failed."""


class TunedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a row was tuned at one imbalance factor, and the cells with the chosen values."""

    schema: Literal[1] = 1
    dataset: shape.Label
    profile: shape.Label
    model: shape.Label
    imbalance_factor: Annotated[float, Meta(ge=1, le=1e9)]
    tuned_at: Annotated[float, Meta(ge=1, le=1e9)]
    """The imbalance factor of the trials."""
    combination: Annotated[dict[shape.Key, shape.Label | None], Meta(max_length=100)]
    """Stage -> technique, with the parameters of the suite."""
    recipe: shape.RecipeSpec
    """The recipe of the suite."""
    metric: shape.Label
    """The number of a record by which trials are compared, such as `held_out.balanced_accuracy`."""
    higher_is_better: bool = True
    held_out: float | shape.Label
    """What was held out, as in the spec of the data."""
    sampler: shape.Label
    asked: shape.Count
    """Trials that the suite asks for; a space with fewer values has fewer."""
    trials: Annotated[list[Trial], Meta(min_length=1, max_length=MOST_TRIALS)]
    chosen: shape.Count
    """Index of the best trial."""
    cells: Annotated[list[shape.Id], Meta(max_length=10_000)]
    """The cells with the chosen values, which train on what all rows of the suite do: one for each pair of seeds."""
    passes: shape.BigReal
    """Cost of the trials without sharing, in forward passes of an image."""
    passes_of_row: shape.BigReal
    """The same of the cells with the default values."""

    @property
    def place(self) -> bytes:
        """What it is about; a page has one line for it."""
        return canonical([self.dataset, self.profile, self.model, self.imbalance_factor, self.combination, self.recipe])

    @property
    def best(self) -> Trial:
        """The chosen trial."""
        return self.trials[self.chosen]


def best_trial(scores: Iterable[float | None], *, higher_is_better: bool = True) -> int | None:
    """Return the index of the best score, the first one if several are equal; None if there is none."""
    sign = 1 if higher_is_better else -1
    known = [(sign * score, -number) for number, score in enumerate(scores) if score is not None]
    return -max(known)[1] if known else None


def problem(row: TunedRow) -> str:
    """Return what the schema cannot express; empty if it is right."""
    scores = [trial.score for trial in row.trials]
    if any(score is not None and not math.isfinite(score) for score in scores):
        return "a score is not finite"
    best = best_trial(scores, higher_is_better=row.higher_is_better)
    if best != row.chosen:
        return f"chosen is {row.chosen}, but the best trial is {best}"
    return ""


def encode(rows: Iterable[TunedRow]) -> bytes:
    """Return the lines of a file, in a fixed order."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in sorted(rows, key=lambda row: row.place))


def write_tuning(path: Path, rows: Iterable[TunedRow]) -> None:
    """Write the file; the last of several lines on the same row counts."""
    by_place = {row.place: row for row in rows}
    write_atomic(path, encode(by_place.values()))


def read_tuning(path: Path) -> list[TunedRow]:
    """Return the lines of a file, none if there is no file. Raises `RecordError` naming the line."""
    if not path.is_file():
        return []
    return list(parsed_lines(read_lines(path), _row))


def _row(line: bytes, where: str) -> TunedRow:
    raw = parse_object(line, where)
    try:
        row = msgspec.convert(raw, TunedRow)
    except msgspec.ValidationError as error:
        raise RecordError("a tuned row does not follow the schema", where=where, why=str(error)) from None
    if found := problem(row):
        raise RecordError(f"a tuned row is malformed: {found}", where=where)
    if field := shape.control_field(raw):
        raise RecordError(f"a tuned row has control characters in {field}", where=where)
    return row
