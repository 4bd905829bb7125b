"""A screening design: a few hundred of all combinations, by which the effect of every technique can be estimated.

Each stage is a factor whose levels are none and its techniques; a pair of techniques that a suite declares is an effect as
well. Rows are chosen by coordinate exchange (Meyer and Nachtsheim, Technometrics 37, 1995): level by level, whatever brings
the information matrix nearest to that of an ideal design, in which no estimate depends on another. The squared distance of
both matrices is the criterion of (M,S)-optimality (Eccleston and Hedayat, Annals of Statistics 2, 1974). Written with what
each pair of rows has in common, it takes integers only, so every machine finds the same design.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ltbench.core.effect_model import EffectModel
from ltbench.planning.space import Space
from ltbench.stages import Technique

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

Pair = tuple[Technique, Technique]
Row = tuple[Technique, ...]
_UNIT = 1000
"""What two rows have in common is counted in thousandths."""
_SWEEPS = 12
"""Most sweeps over all rows and stages; later ones improve a large design by less than a percent."""


class Screen(NamedTuple):
    """A screening design."""

    space: Space
    pairs: tuple[Pair, ...]
    rows: list[Row]
    """Simple ones first, beginning with the baseline."""


def usual_rows(techniques: int, pairs: int) -> int:
    """Return the rows of a design by default: two for each effect and the mean."""
    return 2 * (1 + techniques + pairs)


@functools.lru_cache(maxsize=8)
def screen(
    techniques: tuple[Technique, ...],
    pairs: tuple[Pair, ...],
    most: int | None,
    rows: int | None,
    excluded: tuple[Pair, ...] = (),
) -> Screen:
    """Return the screening design of techniques; all combinations that run, if they are not more than its rows.

    techniques: in the order of the stages; pairs: those whose interaction is estimated, too; most: techniques of a
    combination at most; rows: by default `usual_rows`; excluded: pairs that no row may have. A few more are added where effects could not be estimated.
    """
    by_stage: dict[str, list[Technique]] = {}
    for technique in techniques:
        by_stage.setdefault(technique.stage, []).append(technique)
    space = Space(by_stage, most)
    for one, two in excluded:
        space.exclude(one, two, "")
    rows = usual_rows(len(techniques), len(pairs)) if rows is None else rows
    if sum(space.counts()) <= rows:
        return Screen(space, pairs, list(space.walk()))
    found = dict.fromkeys(_Search(space, pairs, rows).found())
    for effect in EffectModel(list(found), techniques, pairs).unknown:
        found |= dict.fromkeys(_simple_rows(effect, space))
    order = {technique: number for number, technique in enumerate(techniques)}
    return Screen(space, pairs, sorted(found, key=lambda row: (len(row), [order[technique] for technique in row])))


def _simple_rows(effect: Row, space: Space) -> list[Row]:
    """Return the smallest rows that estimate an effect by themselves: with and without.

    Where what it needs does not run without it, as techniques need each other, it is estimated if the other effects of
    its rows are: all of its smallest rows.
    """
    alone: list[Row] = []
    for helpers in sorted(_needed(effect, space), key=len):
        parts = itertools.product(*([(), (technique,)] for technique in effect))
        rows = [_ordered([*helpers, *itertools.chain(*part)], space) for part in parts]
        if all(_runs(row, space) for row in rows):
            return rows
        alone += filter(functools.partial(_runs, space=space), rows[-1:])
    return alone


def _needed(row: Row, space: Space) -> Iterator[Row]:
    """Yield techniques that, added to a row, meet its needs and their own, each way of it once."""
    there = {word for technique in row for word in (technique.name, technique.stage)}
    unmet = next((need for technique in row for need in technique.needs if need not in there), None)
    if unmet is None:
        yield ()
        return
    for technique in space.techniques:
        if unmet in (technique.name, technique.stage) and technique.stage not in there:
            yield from ((technique, *others) for others in _needed((*row, technique), space))


def _ordered(row: Sequence[Technique], space: Space) -> Row:
    return tuple(sorted(row, key=lambda technique: space.stages.index(technique.stage)))


def _runs(row: Row, space: Space) -> bool:
    one_per_stage = len({technique.stage for technique in row}) == len(row)
    return one_per_stage and len(row) <= space.most and space.runs(space.mask(row))


def target_shares(space: Space, pairs: Sequence[Pair]) -> list[list[float]]:
    """Return, for each stage, the ideal shares of rows without a technique of it, then with each of its techniques.

    Each of k techniques is compared with none, so none has the square root of k times as many rows as each (Dunnett,
    JASA 50, 1955). So has a technique of a pair, which has to meet the other one often enough. Where combinations have a
    limit, fewer rows have a technique.
    """
    paired = {technique for pair in pairs for technique in pair}
    shares = []
    for stage in space.stages:
        more = math.sqrt(len(space.of(stage)))
        weights = [more, *(more if technique in paired else 1.0 for technique in space.of(stage))]
        shares.append([weight / math.fsum(weights) for weight in weights])
    together = math.fsum(1 - none for none, *_ in shares)
    # Rows that all had as many techniques as the limit allows could not tell the techniques apart from the mean.
    scale = min(1.0, max(space.most - 1, space.most / 2) / together)
    return [[1 - scale * (1 - none), *(scale * share for share in some)] for none, *some in shares]


class _PairTerm(NamedTuple):
    """A declared pair: place and level of both techniques, and what two rows have in common in their interaction."""

    first: int
    first_level: int
    second: int
    second_level: int
    common: Integers
    """int [4, 4] by row: 0 neither, 1 the second, 2 the first, 3 both."""

    def kinds(self, rows: Integers) -> Integers:
        """Return int [rows]: which of the two are in each row."""
        import numpy as np

        first, second = rows[:, self.first] == self.first_level, rows[:, self.second] == self.second_level
        return np.asarray(2 * first.astype(np.int64) + second)


class _Search:
    """The coordinate exchange. A row has a level for each stage: 0 is none of its techniques."""

    def __init__(self, space: Space, pairs: Sequence[Pair], rows: int) -> None:
        import numpy as np

        self._space, self._count = space, rows
        self._levels = [[None, *space.of(stage)] for stage in space.stages]
        self._bits = [[0 if one is None else space.mask([one]) for one in levels] for levels in self._levels]
        self._shares = target_shares(space, pairs)
        self._common = [
            np.array(
                [[round(_UNIT * ((a == b) / share - 1)) for b in range(len(shares))] for a, share in enumerate(shares)]
            )
            for shares in self._shares
        ]
        self._pairs = [self._pair(*pair) for pair in pairs]

    def _pair(self, first: Technique, second: Technique) -> _PairTerm:
        import numpy as np

        places = [self._space.stages.index(technique.stage) for technique in (first, second)]
        levels = [self._levels[place].index(one) for place, one in zip(places, (first, second), strict=True)]
        one, two = (self._shares[place][level] for place, level in zip(places, levels, strict=True))
        products = [(a - one) * (b - two) for a in (0, 1) for b in (0, 1)]
        variance = one * (1 - one) * two * (1 - two)
        common = np.array([[round(_UNIT * (left * right / variance)) for right in products] for left in products])
        return _PairTerm(places[0], levels[0], places[1], levels[1], common)

    def found(self) -> Iterator[Row]:
        """Exchange levels until none brings the design nearer to the ideal one; yield its combinations."""
        import numpy as np

        rows = np.array(self._start(random.Random(0)))  # noqa: S311 - a design, not a secret
        common = self.in_common(rows)
        used = {self._mask(row) for row in rows.tolist()}
        for _ in range(_SWEEPS):
            changes = 0
            # The baseline stays: all rows of a page are compared with it.
            for number, place in itertools.product(range(1, len(rows)), range(len(self._levels))):
                changes += self._exchange(rows, common, used, number, place)
            if not changes:
                break
        for row in rows.tolist():
            yield tuple(
                one for levels, level in zip(self._levels, row, strict=True) if (one := levels[level]) is not None
            )

    def _start(self, draw: random.Random) -> list[list[int]]:
        """Return distinct rows with about the ideal shares, the baseline first."""
        drawn = (self._drawn(draw) for _ in range(20 * self._count))
        # Where few combinations are left, it would take long to draw the last ones.
        walked = ([self._level(row, place) for place in range(len(self._levels))] for row in self._space.walk())
        found = {0: [0] * len(self._levels)}
        for row in itertools.chain(drawn, walked):
            found.setdefault(self._mask(row), row)
            if len(found) == self._count:
                break
        return list(found.values())

    def _drawn(self, draw: random.Random) -> list[int]:
        """Return a random row that runs, without techniques that others rule out."""
        # Only `random()` is the same in every version of Python.
        row = [self._at(draw.random(), shares) for shares in self._shares]
        while not self._runs(row):
            there = [place for place, level in enumerate(row) if level]
            row[there[int(draw.random() * len(there))]] = 0
        return row

    @staticmethod
    def _at(share: float, shares: Sequence[float]) -> int:
        return next((level for level, end in enumerate(itertools.accumulate(shares)) if share < end), len(shares) - 1)

    def _level(self, row: Row, place: int) -> int:
        return next((self._levels[place].index(one) for one in row if one in self._levels[place]), 0)

    def _mask(self, row: Sequence[int]) -> int:
        return sum(bits[level] for bits, level in zip(self._bits, row, strict=True))

    def _runs(self, row: Sequence[int]) -> bool:
        return sum(map(bool, row)) <= self._space.most and self._space.runs(self._mask(row))

    def _exchange(self, rows: Integers, common: Integers, used: set[int], number: int, place: int) -> bool:
        """Give a row its best level of a stage; return whether that changed it."""
        import numpy as np

        old, row = int(rows[number, place]), rows[number].tolist()
        others = self._mask(row) - self._bits[place][old]
        new = common[number] + self.change(rows, number, place)
        own = new[:, number]
        # The squared distance of the information matrix to the ideal one, times the squared number of rows, as far as
        # this row changes it.
        distances = 2 * (new**2).sum(axis=1) - own**2 - 2 * _UNIT * len(rows) * own
        for level in np.argsort(distances, kind="stable").tolist():
            if distances[level] >= distances[old]:
                return False
            mask = others | self._bits[place][level]
            if mask not in used and self._runs([*row[:place], level, *row[place + 1 :]]):
                used.remove(others | self._bits[place][old])
                used.add(mask)
                rows[number, place] = level
                common[number] = common[:, number] = new[level]
                return True
        return False

    def change(self, rows: Integers, number: int, place: int) -> Integers:
        """Return int [levels, rows]: what a row has more in common with each, also itself, with another level of a stage."""
        import numpy as np

        common, old, others = self._common[place], rows[number, place], rows[:, place]
        change: Integers = common[:, others] - common[old, others]
        change[:, number] = common.diagonal() - common[old, old]
        for pair in self._pairs:
            if place in (pair.first, pair.second):
                mine = np.repeat(rows[number][None], len(common), axis=0)
                mine[:, place] = np.arange(len(common))
                kinds, new = pair.kinds(rows), pair.kinds(mine)
                change += pair.common[new[:, None], kinds] - pair.common[kinds[number], kinds]
                change[:, number] += pair.common[new, new] - pair.common[new, kinds[number]]
        return change

    def in_common(self, rows: Integers) -> Integers:
        """Return int [rows, rows]: what each two rows have in common in the mean, the stages and the pairs."""
        import numpy as np

        common = np.full((len(rows), len(rows)), _UNIT, dtype=np.int64)
        for place, of_levels in enumerate(self._common):
            common += of_levels[rows[:, place][:, None], rows[:, place]]
        for pair in self._pairs:
            kinds = pair.kinds(rows)
            common += pair.common[kinds[:, None], kinds]
        return common
