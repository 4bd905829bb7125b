"""The combinations of many techniques: counted without listing them, and walked without those that are left out.

A grid of 120 techniques in 18 stages has a number of combinations with a dozen digits. What a partial combination decides
for the stages that follow is little (`_Open`): which of their techniques it rules out, what it still needs, and what of
it they need. Partial combinations that agree in this are counted together (dynamic programming over the stages), and
one that cannot be completed is never begun.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ltbench.stages import Technique


class _Open(NamedTuple):
    """What a partial combination decides for the stages that follow. Sets of techniques are bit masks."""

    excluded: int = 0
    """Techniques of later stages that conflict with it."""
    offered: int = 0
    """Its techniques that one of a later stage needs."""
    needed: frozenset[int] = frozenset()
    """Of each of these sets of techniques of later stages, it needs one."""


class Space:
    """All combinations of at most one technique per stage, and the relations that leave some of them out.

    by_stage: the alternatives of each stage, in the order of the stages; most: techniques of a combination at most.
    """

    def __init__(self, by_stage: Mapping[str, Sequence[Technique]], most: int | None = None) -> None:
        self.stages = tuple(by_stage)
        self.most = len(self.stages) if most is None else min(most, len(self.stages))
        self.techniques = [technique for stage in self.stages for technique in by_stage[stage]]
        self._numbers = {technique: number for number, technique in enumerate(self.techniques)}
        self._bits = {
            stage: [1 << n for n, t in enumerate(self.techniques) if t.stage == stage] for stage in self.stages
        }
        self.excluded: dict[tuple[Technique, Technique], str] = {}
        """Pairs that are left out besides those that conflict -> why."""
        self._conflicts = [0] * len(self.techniques)
        self._needs: list[frozenset[int]] = []
        for number, technique in enumerate(self.techniques):
            for other in technique.conflicts:
                mask = self._named(other)
                # A conflict with the technique's own stage does not concern the technique itself.
                mask |= sum(self._bits.get(other, ())) & ~(1 << number)
                self._conflicts[number] |= mask
                for partner in _members(mask):
                    self._conflicts[partner] |= 1 << number
            self._needs.append(frozenset(self._named(one) | sum(self._bits.get(one, ())) for one in technique.needs))

    def exclude(self, one: Technique, two: Technique, reason: str) -> None:
        """Leave out the combinations that have both techniques, which may be the same."""
        self.excluded[one, two] = reason
        self._conflicts[self._numbers[one]] |= self.mask([two])
        self._conflicts[self._numbers[two]] |= self.mask([one])

    def of(self, stage: str) -> list[Technique]:
        """Return the alternatives of a stage."""
        return [technique for technique in self.techniques if technique.stage == stage]

    def _named(self, name: str) -> int:
        return sum(1 << number for number, technique in enumerate(self.techniques) if technique.name == name)

    def mask(self, techniques: Iterable[Technique]) -> int:
        """Return the bit mask of techniques."""
        return sum(1 << self._numbers[technique] for technique in techniques)

    def runs(self, picked: int) -> bool:
        """Whether a combination runs: a bit mask of `techniques` with at most one of each stage."""
        return all(
            not self._conflicts[number] & picked and all(needed & picked for needed in self._needs[number])
            for number in _members(picked)
        )

    def possible(self) -> list[int]:
        """Return the number of combinations by number of techniques, as if none was left out."""
        counts = [1]
        for bits in self._bits.values():
            counts = [a + len(bits) * b for a, b in zip([*counts, 0], [0, *counts], strict=True)]
        return counts[: self.most + 1]

    def counts(self, *, needs: bool = True) -> list[int]:
        """Return the number of combinations that run, by number of techniques.

        needs: whether techniques without what they need are left out, too, and not only conflicts.
        """
        return self.sums([1] * len(self.techniques), needs=needs)

    def sums(self, weights: Sequence[int], *, needs: bool = True) -> list[int]:
        """Return, by number of techniques, the sum over the combinations that run of the product of their weights.

        weights: int >= 0 of each of `techniques`.
        """
        # A polynomial in the number of techniques is one large integer, with enough bits for each coefficient.
        largest = math.prod(1 + sum(weights[n] for bit in bits for n in _members(bit)) for bits in self._bits.values())
        width = largest.bit_length() + 1
        totals = {_Open(): 1}
        order = self._order()
        for place, stage in enumerate(order):
            step = self._step(order[place + 1 :], needs=needs)
            alike = [(mask & -mask, sum(weights[n] for n in _members(mask)) << width) for mask in self._alike(stage)]
            reached: dict[_Open, int] = defaultdict(int)
            for state, total in totals.items():
                for bit, weight in ((0, 1), *alike):
                    after = step(state, bit)
                    if after is not None:
                        reached[after] += total * weight
            totals = reached
        total = sum(totals.values())
        return [(total >> width * size) & ((1 << width) - 1) for size in range(self.most + 1)]

    def walk(self) -> Iterator[tuple[Technique, ...]]:
        """Yield the combinations that run: the empty one, single techniques, pairs and so on.

        Those of one size are in the order of the stages and of their alternatives. What is left out takes no time.
        """
        for size in range(self.most + 1):
            yield from self._walk_size(size)

    def _walk_size(self, size: int) -> Iterator[tuple[Technique, ...]]:
        # A new memory for each size, and a small one: what is ahead must not fill memory.
        steps = functools.lru_cache(maxsize=100_000)(self._step)

        @functools.lru_cache(maxsize=100_000)
        def ways(state: _Open, stages: tuple[str, ...]) -> list[tuple[int, _Open]]:
            """Return the picks of the first stage that the others can complete, each with what it leaves open."""
            others = stages[1:]
            after = [(bit, steps(others)(state, bit)) for bit in self._bits[stages[0]]]
            return [(bit, then) for bit, then in after if then is not None and (not others or ways(then, others))]

        for stages in itertools.combinations(self.stages, size):
            yield from self._completed(_Open(), stages, (), ways)

    def _completed(
        self, state: _Open, stages: tuple[str, ...], picked: tuple[Technique, ...], ways: _Ways
    ) -> Iterator[tuple[Technique, ...]]:
        if not stages:
            yield picked
            return
        for bit, then in ways(state, stages):
            yield from self._completed(then, stages[1:], (*picked, self.techniques[bit.bit_length() - 1]), ways)

    def _alike(self, stage: str) -> list[int]:
        """Return the techniques of a stage in sets of which all have the same relations."""
        mine = sum(self._bits[stage])
        alike: dict[tuple[object, ...], int] = defaultdict(int)
        for bit in self._bits[stage]:
            number = bit.bit_length() - 1
            conflicts = self._conflicts[number]
            needs = frozenset(mask & ~mine for mask in self._needs[number] if not mask & bit)
            needed = frozenset(mask for masks in self._needs for mask in masks if mask & bit)
            alike[conflicts & ~mine, bool(conflicts & bit), needs, needed] |= bit
        return list(alike.values())

    def _step(self, later: tuple[str, ...], *, needs: bool = True) -> _Step:
        """Return how a pick of one stage (0: none) changes what is open, before the stages `later`; None: left out."""
        ahead = sum(bit for stage in later for bit in self._bits[stage])
        wanted = 0
        if needs:
            for number in _members(ahead):
                wanted |= functools.reduce(int.__or__, self._needs[number], 0)

        def step(state: _Open, bit: int) -> _Open | None:
            if state.excluded & bit:
                return None
            excluded, offered, needed = state
            if bit:
                number = bit.bit_length() - 1
                if self._conflicts[number] & bit:
                    return None
                excluded |= self._conflicts[number]
                offered |= bit
                if needs and self._needs[number]:
                    needed |= {mask for mask in self._needs[number] if not mask & offered}
            if needed:
                needed = frozenset(mask & ahead & ~excluded for mask in needed if not mask & bit)
            return None if 0 in needed else _Open(excluded & ahead, offered & wanted, needed)

        return step

    def _order(self) -> tuple[str, ...]:
        """Return the stages in an order that leaves few different things open in between (greedy)."""
        left, order = list(self.stages), list[str]()
        while left:
            best = min(
                left, key=lambda stage: self._kinds([*order, stage], [other for other in left if other != stage])
            )
            left.remove(best)
            order.append(best)
        return tuple(order)

    def _kinds(self, before: Sequence[str], after: Sequence[str]) -> int:
        """Return a bound of how many different things the stages before can leave open for those after."""
        step = self._step(tuple(after))
        return math.prod(len({step(_Open(), bit) for bit in (0, *self._bits[stage])}) for stage in before)


_Step = Callable[[_Open, int], _Open | None]
_Ways = Callable[[_Open, tuple[str, ...]], list[tuple[int, _Open]]]


def _members(mask: int) -> Iterator[int]:
    """Yield the positions of the bits of a mask."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
