"""The metric that a board ranks by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ltbench.columns import BALANCED, CLASS_SUPPORT, HELD_OUT, TOP1, Column, Unit
from ltbench.costs import NAME as COST
from ltbench.costs import check_costs, cost_column, is_cost
from ltbench.errors import UnknownName
from ltbench.records.record import Record

BUILT_IN: Final = (
    Column(name=TOP1, title="top-1", long_title="Top-1 accuracy", shown="main"),
    Column(name=BALANCED, title="balanced", long_title="Balanced accuracy", shown="export"),
)
"""The columns of the two default metrics, if no metric declares them; every record has their numbers."""


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """The number that rows are ordered, compared and tested by."""

    column: Column
    why: str = ""
    """Why it is not top-1 accuracy, a sentence for the page; empty where it is by default."""

    @property
    def name(self) -> str:
        """The name of the number in a record."""
        return self.column.name

    @property
    def words(self) -> str:
        """Its name within a sentence: `top-1 accuracy`."""
        title = self.column.full_title
        return title if title[:2].isupper() else title[:1].lower() + title[1:]

    @property
    def unit(self) -> Unit:
        """The unit of the number: percent, or one of its own."""
        return self.column.unit

    @property
    def is_fraction(self) -> bool:
        """Whether the number is a share of 1."""
        return self.unit == "percent"

    @property
    def sign(self) -> int:
        """1 where high is good, -1 where low is."""
        return 1 if self.column.higher_is_better else -1


DEFAULT: Final = Ranking(column=BUILT_IN[0])


def ranking_of(records: Sequence[Record], metric: str = "", declared: Iterable[Column] = ()) -> Ranking:
    """Return what comparable records are ranked by: `metric` if given, else what fits their test split.

    Raises `UnknownName` for a metric that is not there, and for costs of other classes.
    """
    for record in records if is_cost(metric) else ():
        if classes := record.data.get("classes"):
            check_costs(metric, classes, record.setting.dataset)
    return ranking_for(_test_images(records), metric, declared)


def ranking_for(test_counts: Iterable[int], metric: str = "", declared: Iterable[Column] = ()) -> Ranking:
    """Return what rows are ranked by: `metric` if given, else what fits the test split.

    On a balanced test split that is top-1 accuracy, else balanced accuracy: by top-1, a model that always predicts the
    largest class would come first. test_counts: images of each class. Raises `UnknownName` for a metric that is not there.
    """
    if metric:
        column = ranking_column(metric, declared)
        low = "" if column.higher_is_better else "; low is good"
        told = f" {column.description}" if is_cost(metric) else ""
        return Ranking(column=column, why=f"Ranked by {Ranking(column=column).words}, as asked{low}.{told}")
    sizes = [count for count in test_counts if count]
    name = BALANCED if len(set(sizes)) > 1 else TOP1
    column = ranking_column(name, declared)
    if name == TOP1:
        return Ranking(column=column)
    words = Ranking(column=column).words
    return Ranking(
        column=column,
        why=f"Ranked by {words}, the mean of the accuracies of the classes, as the test split is not balanced "
        f"({min(sizes):,} to {max(sizes):,} images a class): by top-1, always predicting the largest class "
        f"would score {100 * max(sizes) / sum(sizes):.1f} %.",
    )


def ranking_column(metric: str, declared: Iterable[Column]) -> Column:
    """Return the column of a metric by which a leaderboard can be ranked: on held-out images if its name has that prefix."""
    known = {column.name: column for column in (*BUILT_IN, *declared) if not column.per_class}
    if metric.startswith(HELD_OUT):
        return ranking_column(metric.removeprefix(HELD_OUT), known.values()).on_held_out()
    if is_cost(metric):
        return cost_column(metric)
    if metric not in known:
        raise UnknownName.of("metric", metric, [*known, f"{COST}[costs=FILE]"])
    return known[metric]


def words_of(metric: str, declared: Iterable[Column]) -> str:
    """Return the name of a metric within a sentence; its own name if no column declares it."""
    known = {column.name: column for column in (*BUILT_IN, *declared)}
    name = metric.removeprefix(HELD_OUT)
    if is_cost(name):
        return Ranking(column=cost_column(name)).words
    return Ranking(column=known[name]).words if name in known else name


def _test_images(records: Sequence[Record]) -> list[int]:
    """Return the test images of each class that has any; empty if no record says."""
    support = next((r.per_class[CLASS_SUPPORT] for r in records if r.per_class.get(CLASS_SUPPORT)), [])
    return [int(number) for number in support if number]
