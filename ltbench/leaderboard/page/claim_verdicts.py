"""Judge the claims of a report from records: the direction of each, and its size where the report prints one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from ltbench.core.spec import canonical
from ltbench.costs import is_cost
from ltbench.leaderboard.page.claim_size import NO_SIZE, published_size, size_of
from ltbench.leaderboard.statistics.comparisons import Comparisons
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.statistics.record_groups import RecordGroup, matching_groups
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.records.comparability import BoardKey
from ltbench.suite.published import ALL, Claim, Reported

HOLDS, FAILS, OPEN, NOT_TESTED, UNKNOWN = "holds", "does not hold", "undecided", "not tested", "not measured"
DIRECTIONS: Final = (HOLDS, FAILS, OPEN, NOT_TESTED, UNKNOWN)
_STEPS = "the recipe counts steps, and the claim is about epochs"


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
) -> list[Verdict]:
    """Return the verdict on each claim at each of its factors and in each matching group.

    Differences are those of the tables: all rows of a group are compared at once, by the score that a claim is about.
    """
    cases = [case for claim in claims for case in _cases(claim, groups)]
    printed: dict[tuple[object, ...], float] = {}
    for case in cases:
        size = published_size(case.claim, reported, case.factors, case.group)
        if size is not None:
            printed.setdefault(case.key, size * case.orientation)
    arrays: dict[tuple[BoardKey, str], ScoreArray] = {}
    seen = set[tuple[object, ...]]()
    judged = []
    for case in cases:
        size = published_size(case.claim, reported, case.factors, case.group)
        if size is None and case.key in printed:
            # What another claim prints about the same comparison.
            size = printed[case.key] * case.orientation
        judged.append(_verdict(case, size, arrays, repeated=case.key in seen))
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


def _verdict(
    case: _Case, published: float | None, arrays: dict[tuple[BoardKey, str], ScoreArray], *, repeated: bool
) -> Verdict:
    claim, group = case.claim, case.group
    measured, direction, remark = (None, UNKNOWN, "")
    if group is not None:
        key = group.key, claim.metric
        if key not in arrays:
            arrays[key] = ScoreArray.of(group.records, claim.metric, fractions=not is_cost(claim.metric))
        measured, direction, remark = _measured(claim, arrays[key], case.factors)
        if claim.needs_epochs and "steps" in group.recipe:
            direction, remark = NOT_TESTED, _STEPS
    size, why = (NO_SIZE, direction) if direction in (NOT_TESTED, UNKNOWN) else size_of(measured, published)
    return Verdict(
        claim=claim, where=case.where, factor=case.factors[0] if len(case.factors) == 1 else None,
        published=published, measured=measured, direction=direction, remark=remark,
        size=size, why_no_size=why, repeated=repeated,
    )  # fmt: skip


def _measured(claim: Claim, scores: ScoreArray, factors: tuple[float, ...]) -> tuple[Estimate | None, str, str]:
    """Return the measured difference, the direction, and a remark on it."""
    if not set(factors) <= set(scores.factors):
        return None, UNKNOWN, ""
    better, found = scores.row_of(claim.better), scores.compared(factors)
    if isinstance(claim.worse, str):
        return _against_all(claim, scores, found, better)
    worse = scores.row_of(claim.worse)
    measured = None if better is None else found.difference(better, worse)
    if better is None or worse is None or measured is None:
        return None, UNKNOWN, ""
    if measured.interval is None:
        # Without spread an interval would mean nothing.
        return measured, OPEN, "one seed" if measured.n < 2 else "the same in every run"
    unlike = "not paired: other types of machines" if found.variances.welch[better, worse] else ""
    low, high = measured.interval
    if claim.within is not None:
        is_none = -claim.within <= low and high <= claim.within
        return measured, HOLDS if is_none else FAILS if low > claim.within or high < -claim.within else OPEN, unlike
    low, high = (low, high) if claim.sign == "+" else (-high, -low)
    return measured, HOLDS if low > 0 else FAILS if high < 0 else OPEN, unlike


def _against_all(
    claim: Claim, scores: ScoreArray, found: Comparisons, mine: int | None
) -> tuple[Estimate | None, str, str]:
    """Judge whether a combination is the best of all."""
    others = [row for row in np.flatnonzero(np.isfinite(found.means)).tolist() if row != mine]
    if mine is None or not np.isfinite(found.means[mine]) or not others:
        return None, UNKNOWN, ""
    sign = -1 if claim.sign == "-" else 1
    beaten = np.asarray(((found.low if sign > 0 else -found.high) > 0).any(axis=0))
    best = max(others, key=lambda row: sign * found.means[row])
    name = _label(scores, best)
    measured = found.difference(mine, best)
    if measured is None:
        return None, UNKNOWN, f"no run in common with {name}"
    rivals = sum(not beaten[row] for row in others)
    if beaten[mine]:
        return measured, FAILS, f"{name} is better"
    if not rivals:
        return measured, HOLDS, f"the best other is {name}"
    alike = f"{rivals} of {len(others)} others may be the best" if len(others) > 1 else ""
    ahead = f"{name} is better, but not significantly"
    first = sign * found.means[mine] >= sign * found.means[best]
    return measured, OPEN, "one seed" if measured.n < 2 else alike if first else ahead


def _label(scores: ScoreArray, row: int) -> str:
    return next((record.label for record in scores.records[row]), "")
