"""Whether the first half of a training tells which rows are good: then it is enough for those that are surely worse.

Checked on rows whose training was run to its end: the state half-way is on its way. The scores of a block are compared with
their mean, because what all rows of a block have in common says nothing of their ranks.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final, NamedTuple

import numpy as np

LEAST: Final = 8
"""Rows that have to be known at both ends before ranks are judged."""
CARRIES: Final = 0.5
"""Ranks carry over if their correlation surely exceeds this."""
_SURE = 1.96
"""Standard errors of a two-sided interval of 95 %."""


class Verdict(NamedTuple):
    """How well scores half-way tell those at the end."""

    rows: int
    correlation: float
    """Spearman's rank correlation within blocks."""
    low: float
    """Lower end of its 95 % interval, by Fisher's transformation."""
    slope: float
    """Points at the end for each point half-way."""
    error: float
    """Standard deviation of what the line leaves open."""

    @property
    def carries(self) -> bool:
        """Whether a row that is surely worse half-way needs no second half."""
        return self.rows >= LEAST and self.low >= CARRIES


class Halves:
    """Scores of rows half-way and at the end, by block. sign: 1 where high scores are good, -1 where low ones are."""

    def __init__(self, sign: int = 1) -> None:
        self._sign = sign
        self._scores: dict[Hashable, dict[Hashable, list[float | None]]] = {}

    def add(self, row: Hashable, block: Hashable, *, half: float | None = None, end: float | None = None) -> None:
        """Add a score of a row in a block, half-way or at the end."""
        both = self._scores.setdefault(block, {}).setdefault(row, [None, None])
        for place, score in enumerate((half, end)):
            both[place] = both[place] if score is None else score

    def verdict(self) -> Verdict | None:
        """Return how well scores carry over; None with too few rows to say."""
        from scipy import stats

        centred, ranked, blocks = [], [], 0
        for of_block in self._scores.values():
            known = np.array([both for both in of_block.values() if None not in both], dtype=np.float64)
            if len(known) > 1:
                blocks += 1
                centred.append(known - known.mean(axis=0))
                ranks = stats.rankdata(known, axis=0)
                ranked.append(ranks - ranks.mean(axis=0))
        rows = sum(map(len, centred))
        if rows - blocks < LEAST - 1:
            return None
        half, end = np.concatenate(centred).T
        spread = float(half @ half)
        if not spread:
            return Verdict(rows, 0.0, -1.0, 0.0, math.inf)
        slope = float(half @ end) / spread
        rest = end - slope * half
        error = math.sqrt(float(rest @ rest) / max(rows - blocks - 1, 1))
        first, second = np.concatenate(ranked).T
        size = math.sqrt(float(first @ first) * float(second @ second))
        correlation = float(first @ second) / size if size else 0.0
        # Each block has lost a degree of freedom to its mean.
        freedom = rows - blocks + 1 - 3
        low = math.tanh(math.atanh(min(max(correlation, -0.999999), 0.999999)) - _SURE / math.sqrt(max(freedom, 1)))
        return Verdict(rows, correlation, low, slope, error)

    def surely_worse(self, row: Hashable, block: Hashable, leader: Hashable) -> bool:
        """Whether the score of a row half-way is so far below that of the leader that its end will be, too."""
        verdict = self.verdict()
        scores = self._scores.get(block, {})
        mine, best = scores.get(row, [None])[0], scores.get(leader, [None])[0]
        if verdict is None or not verdict.carries or mine is None or best is None:
            return False
        # The line leaves both ends open.
        return self._sign * verdict.slope * (mine - best) + _SURE * math.sqrt(2) * verdict.error < 0

    def __str__(self) -> str:
        """Return what was found, as a sentence; empty with too few rows to say."""
        verdict = self.verdict()
        if verdict is None:
            return ""
        found = (
            f"Ranks half-way through the training and at its end correlate by {_number(verdict.correlation)} (at least {_number(verdict.low)}, "
            f"{verdict.rows} rows)"
        )
        if verdict.carries:
            return f"{found}: rows that were surely worse half-way were not trained to the end."
        return f"{found}, which is too little to stop any row half-way."


def _number(correlation: float) -> str:
    return f"{correlation:.2f}".replace("-", "\N{MINUS SIGN}")
