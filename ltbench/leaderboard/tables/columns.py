"""Which numbers tables show and how: what metrics declare, carried along with the records that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from ltbench.records.record import Record
from ltbench.stages import PER_CLASS, PRIMARY, Column

AREA: Final = "area"
"""Area under the line of the primary score over the logarithm of the imbalance factor, in the table across factors."""
_PRIMARY: Final = Column(name=PRIMARY, title="top-1", long_title="Top-1 accuracy", shown="main")
"""For records whose primary score nobody declares."""
HEADINGS: Final = ("#", "techniques", "best", "n", "Δ", "mean", AREA)
"""Columns of a table that no metric declares."""


def declared_columns(metrics: Mapping[str, type[Any]]) -> tuple[Column, ...]:
    """Return what metrics declare: first the one with the primary score, then by name. metrics: by name.

    Of two columns for one number the first counts.
    """

    def place(name: str) -> tuple[bool, str]:
        return all(column.name != PRIMARY for column in metrics[name].columns), name

    return join_columns(*(metrics[name].columns for name in sorted(metrics, key=place)))


def installed_columns() -> tuple[Column, ...]:
    """Return what the metrics that are installed here declare, for a leaderboard that was published without."""
    from ltbench.registry.registry import Registry

    return declared_columns(Registry.load().of("metric"))


def join_columns(*sides: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of all sides, each number once, as the first side that has it declares it."""
    by_name: dict[str, Column] = {}
    for column in (column for side in sides for column in side):
        by_name.setdefault(column.name, column)
    return tuple(by_name.values())


def columns_present(records: Iterable[Record], declared: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns whose number some record has; all where no record has a number.

    A metric that was installed after the records were made would only add a column of n/a.
    """
    names = _names(records)
    return tuple(column for column in declared if not names or column.name in names)


def columns_of(records: Sequence[Record], declared: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of a leaderboard: the declared ones, and a hidden one for each number that nobody declares."""
    known = columns_present(records, join_columns(declared, [_PRIMARY])) or (_PRIMARY,)
    undeclared = sorted(_names(records) - {column.name for column in known})
    rest = [Column(name=name, title=name.removeprefix(PER_CLASS), unit="plain", shown="export") for name in undeclared]
    return tuple(_with_unique_titles([*known, *rest]))


def _names(records: Iterable[Record]) -> set[str]:
    names: set[str] = set()
    for record in records:
        names.update(record.metrics, (f"{PER_CLASS}{name}" for name in record.per_class))
    return names


def _with_unique_titles(columns: Iterable[Column]) -> Iterator[Column]:
    """Yield the columns; where a title is taken, the name of the number takes its place."""
    taken = {True: set(HEADINGS), False: set[str]()}
    for column in columns:
        titles = taken[not column.per_class]
        title = column.title if column.title not in titles else column.name
        titles.add(title)
        yield column if title == column.title else replace(column, title=title)
