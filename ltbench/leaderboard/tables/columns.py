"""Columns of tables, as metrics declare them; the declarations travel with the records in suite.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from ltbench.columns import HELD_OUT, PER_CLASS, TOP1, Column
from ltbench.costs import cost_column, is_cost
from ltbench.leaderboard.statistics.ranking import BUILT_IN
from ltbench.records.record import Record

AREA: Final = "area"
"""Area under the line of the ranking metric over the logarithm of the imbalance factor, in the table across factors."""
HEADINGS: Final = ("rank", "#", "techniques", "n", "Δ", "mean", AREA)
"""Titles of the columns that no metric declares."""


def declared_columns(metrics: Mapping[str, type[Any]]) -> tuple[Column, ...]:
    """Return the columns of metrics: those of the metric with top-1 accuracy, then by name. metrics: by name."""

    def place(name: str) -> tuple[bool, str]:
        return all(column.name != TOP1 for column in metrics[name].columns), name

    # By name, because the order in which plugins are loaded must not change a page.
    return join_columns(*(metrics[name].columns for name in sorted(metrics, key=place)))


def installed_columns() -> tuple[Column, ...]:
    """Return the columns of the installed metrics, for a leaderboard that was published without declarations."""
    from ltbench.registry.registry import Registry

    return declared_columns(Registry.load().of("metric"))


def join_columns(*sides: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of all sides; if several declare a number, the first one counts."""
    by_name: dict[str, Column] = {}
    for column in (column for side in sides for column in side):
        by_name.setdefault(column.name, column)
    return tuple(by_name.values())


def columns_present(records: Iterable[Record], declared: Iterable[Column], metric: str = "") -> tuple[Column, ...]:
    """Return the columns whose number some record has, and top-1 accuracy; all if no record has a number.

    metric: what rows are ranked by, which is shown in any case.

    A metric that was installed after the records were made would only add a column of n/a.
    """
    names = _names(records)
    return tuple(column for column in declared if not names or column.name in {*names, TOP1, metric})


def columns_of(records: Sequence[Record], declared: Iterable[Column], metric: str = "") -> tuple[Column, ...]:
    """Return the columns of a leaderboard: the declared ones, and a hidden one for each undeclared number.

    metric: what rows are ranked by.
    """
    asked = [cost_column(metric)] if is_cost(metric) else []
    known = columns_present(records, join_columns(declared, BUILT_IN, asked), metric.removeprefix(HELD_OUT))
    names = _names(records)
    held_out = [column.on_held_out() for column in known if HELD_OUT + column.name in names]
    undeclared = sorted(names - {column.name for column in (*known, *held_out)})
    rest = [Column(name=name, title=name.removeprefix(PER_CLASS), unit="plain", shown="export") for name in undeclared]
    return tuple(_with_unique_titles([*known, *held_out, *rest]))


def _names(records: Iterable[Record]) -> set[str]:
    names: set[str] = set()
    for record in records:
        names.update(record.metrics, (f"{PER_CLASS}{name}" for name in record.per_class))
        if record.held_out is not UNSET:
            names.update(HELD_OUT + name for name in record.held_out.metrics)
        names.update(column.name for column in BUILT_IN if record.score(column.name) is not None)
    return names


def _with_unique_titles(columns: Iterable[Column]) -> Iterator[Column]:
    """Yield the columns; a title that is taken is replaced by the name of the number."""
    taken = {True: set(HEADINGS), False: set[str]()}
    for column in columns:
        titles = taken[not column.per_class]
        title = column.title if column.title not in titles else column.name
        titles.add(title)
        yield column if title == column.title else replace(column, title=title)
