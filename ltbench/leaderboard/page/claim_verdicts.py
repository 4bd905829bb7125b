"""Judge the claims of a report from records: the direction of each, and its size where the report prints one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from ltbench.core.spec import canonical
from ltbench.leaderboard.page.claim_size import NO_SIZE, published_size, size_of
from ltbench.leaderboard.statistics.pairing import gaps_to, machines_of
from ltbench.leaderboard.statistics.record_groups import RecordGroup, matching_groups
from ltbench.leaderboard.statistics.tests_and_intervals import CONSTANT, Estimate, estimates, pooled
from ltbench.leaderboard.statistics.verdicts import Machines, verdicts
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.suite.published import ALL, Claim, Reported

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

HOLDS, FAILS, OPEN, NOT_TESTED, UNKNOWN = "holds", "does not hold", "undecided", "not tested", "not measured"
DIRECTIONS: Final = (HOLDS, FAILS, OPEN, NOT_TESTED, UNKNOWN)
_STEPS = "the recipe counts steps, and the claim is about epochs"
_UNCORRECTED = "not significant in the table, where the test is corrected"
_FOLLOWS = "significant in the table, as it follows from differences to other rows"
_OTHERWISE = {HOLDS: (False, _UNCORRECTED), FAILS: (False, _UNCORRECTED), OPEN: (True, _FOLLOWS)}
"""Direction -> what a table finds that says otherwise, and how that is written."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A claim at one imbalance factor; `factor` is None for the mean over factors."""

    claim: Claim
    where: str
    factor: float | None
    published: float | None
    measured: Estimate | None
    """`better` minus `worse`, over the runs of both; minus the best of all others for "all"."""
    direction: str
    """One of `DIRECTIONS`."""
    remark: str = ""
    size: str
    """One of `ltbench.leaderboard.page.claim_size.SIZES`."""
    why_no_size: str = ""
    repeated: bool = False
    """Whether an earlier claim makes the same comparison, so that this one is not counted."""


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A claim with the factors and the records that it is judged on; no records where none match."""

    claim: Claim
    factors: tuple[float, ...]
    group: RecordGroup | None
    where: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What comparisons that are the same have in common: pair, metric and setting."""
        claim = self.claim
        better = frozenset(claim.better)
        if isinstance(claim.worse, str):
            pair: object = (better, ALL, claim.sign)
        elif claim.sign == "=":
            pair = (frozenset({better, frozenset(claim.worse)}), claim.within)
        else:
            sides = (better, frozenset(claim.worse))
            pair = sides if claim.sign == "+" else sides[::-1]
        own = (claim.dataset, claim.profile, claim.model, canonical(claim.recipe))
        return pair, claim.metric, self.factors, own if self.group is None else self.group.key

    @property
    def orientation(self) -> int:
        """Return -1 where the claim names the pair the other way round than `key`."""
        if self.claim.sign != "=":
            return -1 if self.claim.sign == "-" else 1
        return 1 if sorted(self.claim.better) < sorted(self.claim.worse) else -1


def judge(
    claims: Iterable[Claim],
    reported: Sequence[Reported],
    groups: Sequence[RecordGroup],
    boards: Iterable[Board] = (),
) -> list[Verdict]:
    """Return the verdict on each claim at each of its factors and in each matching group.

    boards: those of the page, so that a verdict can say where the tests of a table find otherwise.
    """
    cases = [case for claim in claims for case in _cases(claim, groups)]
    printed: dict[tuple[object, ...], float] = {}
    for case in cases:
        size = published_size(case.claim, reported, case.factors, case.group)
        if size is not None:
            printed.setdefault(case.key, size * case.orientation)
    by_key = {board.key: board for board in boards}
    seen = set[tuple[object, ...]]()
    judged = []
    for case in cases:
        size = published_size(case.claim, reported, case.factors, case.group)
        if size is None and case.key in printed:
            # What another claim prints about the same comparison.
            size = printed[case.key] * case.orientation
        table = None if case.group is None else _table(by_key.get(case.group.key), case.factors)
        judged.append(_verdict(case, size, table, repeated=case.key in seen))
        seen.add(case.key)
    return judged


def _cases(claim: Claim, groups: Sequence[RecordGroup]) -> Iterator[_Case]:
    matching = matching_groups(claim, groups)
    known = {factor for group, _ in matching for factor in group.factors}
    factors = tuple(sorted(known if claim.imbalance_factors == "all" else set(claim.imbalance_factors)))
    steps = [factors] if claim.pooled or not factors else [(factor,) for factor in factors]
    for step in steps:
        here = [(group, name) for group, name in matching if _is_about(claim, group, step)]
        for group, name in here:
            yield _Case(claim=claim, factors=step, group=group, where=name)
        if not here:
            yield _Case(claim=claim, factors=step, group=None)


def _is_about(claim: Claim, group: RecordGroup, factors: Sequence[float]) -> bool:
    sides = [side for side in (claim.better, claim.worse) if not isinstance(side, str)]
    return any(group.ok_records(side, factor) for factor in factors for side in sides)


def _verdict(case: _Case, published: float | None, table: Table | None, *, repeated: bool) -> Verdict:
    claim, group = case.claim, case.group
    measured, direction, remark = (
        (None, UNKNOWN, "")
        if group is None
        else _measured(claim, group, case.factors, "baseline" if table is None else table.reference)
    )
    if claim.needs_epochs and group is not None and "steps" in group.recipe:
        direction, remark = NOT_TESTED, _STEPS
    elif claim.within is None and direction in _OTHERWISE and _in_table(claim, table) is not None:
        expected, words = _OTHERWISE[direction]
        remark = "; ".join(filter(None, (remark, words if _in_table(claim, table) is expected else "")))
    size, why = (NO_SIZE, direction) if direction in (NOT_TESTED, UNKNOWN) else size_of(measured, published)
    return Verdict(
        claim=claim, where=case.where, factor=case.factors[0] if len(case.factors) == 1 else None,
        published=published, measured=measured, direction=direction, remark=remark,
        size=size, why_no_size=why, repeated=repeated,
    )  # fmt: skip


def _measured(
    claim: Claim, group: RecordGroup, factors: Sequence[float], reference: str
) -> tuple[Estimate | None, str, str]:
    """Return the measured difference, the direction, and a remark on it."""
    if isinstance(claim.worse, str):
        return _against_all(claim, group, factors, reference)
    values, machines = _matrix([claim.better, claim.worse], claim.metric, group, factors)
    measured = gaps_to(values, 1, machines)[0]
    if measured is None:
        return None, UNKNOWN, ""
    if measured.half is None:
        return measured, OPEN, "one seed"
    unlike = "not paired: other types of machines" if machines.differ(np.array([0]), np.array([1]))[0] else ""
    low, high = measured.mean - measured.half, measured.mean + measured.half
    if claim.within is not None:
        is_none = -claim.within <= low and high <= claim.within
        return measured, HOLDS if is_none else FAILS if low > claim.within or high < -claim.within else OPEN, unlike
    if measured.half <= CONSTANT:
        # Without spread the interval means nothing, as for the ranks of a table.
        return measured, OPEN, "the same in every run"
    low, high = (low, high) if claim.sign == "+" else (-high, -low)
    return measured, HOLDS if low > 0 else FAILS if high < 0 else OPEN, unlike


def _matrix(
    sides: Sequence[Iterable[str]], metric: str, group: RecordGroup, factors: Sequence[float]
) -> tuple[Floats, Machines]:
    """Return the scores of combinations, float [sides, runs], as means over factors, and where they were run."""
    runs = sorted({record.seeds for record in group.records})
    scores = [[group.scores(side, factor, metric) for side in sides] for factor in factors]
    parts = [np.array([[row.get(run, np.nan) for run in runs] for row in rows]) for rows in scores]
    records = [[record for factor in factors for record in group.ok_records(side, factor)] for side in sides]
    return pooled(parts), machines_of(records)[0]


def _against_all(
    claim: Claim, group: RecordGroup, factors: Sequence[float], reference: str
) -> tuple[Estimate | None, str, str]:
    """Judge whether a combination is the best of all, by the tests of a table with this reference."""
    labels = {frozenset(label for _, label in record.techniques): record.label for record in group.records}
    sides, names = list(labels), list(labels.values())
    values, machines = _matrix(sides, claim.metric, group, factors)
    base = names.index(reference) if reference in names else None
    tests = verdicts(-values if claim.sign == "-" else values, base, machines)
    mine = sides.index(frozenset(claim.better)) if frozenset(claim.better) in labels else None
    others = [row for row, place in enumerate(tests.places) if place is not None and row != mine]
    if mine is None or tests.places[mine] is None or not others:
        return None, UNKNOWN, ""
    means = [math.nan if one is None else one.mean for one in estimates(values)]
    best = (min if claim.sign == "-" else max)(others, key=lambda row: means[row])
    measured = gaps_to(values, best, machines)[mine]
    if measured is None:
        return None, UNKNOWN, f"no run in common with {names[best]}"
    rivals = sum(not tests.apart[row] for row in others)
    if tests.apart[mine]:
        return measured, FAILS, f"{names[best]} is better"
    if not rivals:
        return measured, HOLDS, f"the best other is {names[best]}"
    ahead = f"{names[best]} is better, but not significantly"
    alike = f"{rivals} of {len(others)} others may be the best" if len(others) > 1 else ""
    return measured, OPEN, "one seed" if measured.half is None else alike if tests.best == mine else ahead


def _table(board: Board | None, factors: Sequence[float]) -> Table | None:
    """Return the table with the scores of these factors: of one, or of all."""
    if board is None:
        return None
    tables = {table.factor: table for table in board.tables}
    if len(factors) == 1:
        return tables.get(factors[0])
    return board.across if set(factors) == tables.keys() else None


def _in_table(claim: Claim, table: Table | None) -> bool | None:
    """Return whether the table finds the difference between both sides significant; None where it does not say."""
    if table is None or claim.metric != table.ranking.name or isinstance(claim.worse, str):
        return None
    rows = {frozenset(label for _, label in row.techniques): row for row in table.rows}
    pair = [rows.get(frozenset(side)) for side in (claim.better, claim.worse)]
    for one, other in (pair, reversed(pair)):
        if one is None or other is None:
            return None
        if one.label == table.reference and other.p is not None:
            return other.separated
        if one.rank is not None and one.is_best and other.p_best is not None and other.like_best:
            return False
    return None
