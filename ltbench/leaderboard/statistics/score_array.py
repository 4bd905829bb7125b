"""The scores of a board as one array: by combination, imbalance factor and pair of seeds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from ltbench.columns import TOP1
from ltbench.leaderboard.statistics.aliasing import Combined, Design, Pairs, design_of, screen_of
from ltbench.leaderboard.statistics.comparisons import Comparisons, compare_rows
from ltbench.leaderboard.statistics.record_groups import Pair, newest
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.records.record import Record

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

Place = float | tuple[float, ...] | None
"""Imbalance factors: one, the mean over several, or over all."""


class ScoreArray:
    """The score of every cell of a board, independent of the order of the records."""

    combinations: list[Combined]
    factors: list[float]
    """Lowest first."""
    runs: list[Pair]
    values: Floats
    """float [combinations, factors, runs]; NaN if a cell is missing, failed or has no score."""
    records: list[list[Record]]
    """Of each combination; empty for scores without records."""

    def __init__(
        self, combinations: list[Combined], factors: list[float], runs: list[Pair], screen_pairs: Pairs | None = None,
        *, fractions: bool = True,
    ) -> None:  # fmt: skip
        """screen_pairs: pairs whose interaction is estimated, if the rows are those of a screening design."""
        self.screen_pairs, self.fractions = screen_pairs, fractions
        self.combinations, self.factors, self.runs = combinations, factors, runs
        self.rows = {combination: row for row, combination in enumerate(combinations)}
        self.values = np.full((len(combinations), len(factors), len(runs)), np.nan)
        self.records = [[] for _ in combinations]
        self._compared: dict[Place, Comparisons] = {}

    @classmethod
    def of(
        cls,
        records: Iterable[Record],
        metric: str = TOP1,
        screen_pairs: Pairs | None = None,
        *,
        fractions: bool = True,
    ) -> Self:
        """Return the scores of the records of one board by a metric. fractions: as for `compare_rows`."""
        current = newest(list(records))
        made = cls(
            list(dict.fromkeys(frozenset(record.techniques) for record in current)),
            sorted({record.setting.imbalance_factor for record in current}),
            sorted({record.seeds for record in current}),
            screen_pairs,
            fractions=fractions,
        )
        factors, runs = ({one: i for i, one in enumerate(known)} for known in (made.factors, made.runs))
        for record in current:
            row, score = made.rows[frozenset(record.techniques)], record.score(metric)
            made.records[row].append(record)
            if record.status == "ok" and score is not None:
                made.values[row, factors[record.setting.imbalance_factor], runs[record.seeds]] = score
        return made

    def factors_at(self, place: Place) -> tuple[float, ...]:
        """Return the imbalance factors of a place."""
        return tuple(self.factors) if place is None else place if isinstance(place, tuple) else (place,)

    def at(self, place: Place) -> Floats:
        """Return float [combinations, runs]: the mean over the factors, NaN if one is missing."""
        chosen = [self.factors.index(factor) for factor in self.factors_at(place)]
        return np.asarray(self.values[:, chosen].mean(axis=1))

    def design(self, place: Place) -> RowDesign:
        """Return how the combinations were run."""
        if not any(self.records):
            return RowDesign.paired(len(self.combinations), len(self.runs))
        factors = self.factors_at(place)
        here = [[record for record in mine if record.setting.imbalance_factor in factors] for mine in self.records]
        return RowDesign.of(here, self.runs)

    def compared(self, place: Place) -> Comparisons:
        """Return the comparison of all combinations."""
        if place not in self._compared:
            self._compared[place] = compare_rows(self.at(place), self.design(place), fractions=self.fractions)
        return self._compared[place]

    @cached_property
    def estimable(self) -> Design:
        """What least squares estimates from the combinations that have a number."""
        known = [bool(np.isfinite(scores).any()) for scores in self.values]
        if self.screen_pairs is not None:
            return screen_of(self.combinations, known, self.screen_pairs)
        return design_of(self.combinations, known)

    def row_of(self, techniques: Iterable[str]) -> int | None:
        """Return the row of a combination by the labels of its techniques, in any order."""
        wanted = frozenset(techniques)
        same = (row for one, row in self.rows.items() if frozenset(label for _, label in one) == wanted)
        return next(same, None)

    @property
    def places(self) -> list[float | None]:
        """The factors, and None for all of them if there are several."""
        return [*self.factors, *([None] if len(self.factors) > 1 else [])]
