"""Judge the claims of a report from records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from ltbench.leaderboard.statistics.record_groups import Pair, RecordGroup, matching_groups
from ltbench.leaderboard.statistics.tests_and_intervals import CONSTANT, Estimate, estimate
from ltbench.suite.published import Claim, Combination, Reported

HOLDS, FAILS, OPEN, UNKNOWN = "holds", "does not hold", "not separated", "not measured"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A claim at one imbalance factor; `factor` is None for the mean over factors."""

    claim: Claim
    where: str
    factor: float | None
    published: float | None
    measured: Estimate | None
    """`better` minus `worse`, over the runs of both."""
    verdict: str
    remark: str = ""


def judge(claim: Claim, reported: Sequence[Reported], groups: Sequence[RecordGroup]) -> Iterator[Verdict]:
    """Yield the verdict on a claim at each of its factors and in each matching group."""
    matching = matching_groups(claim, groups)
    known = sorted({factor for group, _ in matching for factor in group.factors})
    factors = list(known if claim.imbalance_factors == "all" else claim.imbalance_factors)
    steps: list[list[float]] = [factors] if claim.pooled else [[factor] for factor in factors] or [[]]
    for step in steps:
        here = [(group, name) for group, name in matching if _about(claim, group, step)]
        factor = step[0] if len(step) == 1 else None
        published = _published(claim, reported, step)
        for group, name in here:
            gaps = _gaps(claim, group, step)
            measured = estimate(gaps)
            verdict, remark = _verdict(claim, measured, gaps)
            yield Verdict(claim=claim, where=name, factor=factor, published=published, measured=measured,
                          verdict=verdict, remark=remark)  # fmt: skip
        if not here:
            yield Verdict(claim=claim, where="", factor=factor, published=published, measured=None, verdict=UNKNOWN)


def _about(claim: Claim, group: RecordGroup, factors: Sequence[float]) -> bool:
    return any(group.ok_records(side, factor) for factor in factors for side in (claim.better, claim.worse))


def _gaps(claim: Claim, group: RecordGroup, factors: Sequence[float]) -> list[float]:
    """Return `better` minus `worse` per run, as the mean over factors; runs that lack a factor are left out."""
    by_factor: list[dict[Pair, float]] = []
    for factor in factors:
        better = group.scores(claim.better, factor, claim.metric)
        worse = group.scores(claim.worse, factor, claim.metric)
        by_factor.append({run: better[run] - worse[run] for run in sorted(better.keys() & worse.keys())})
    runs = [run for run in (by_factor[0] if by_factor else {}) if all(run in gaps for gaps in by_factor)]
    return [math.fsum(gaps[run] for gaps in by_factor) / len(by_factor) for run in runs]


def _verdict(claim: Claim, measured: Estimate | None, gaps: Sequence[float]) -> tuple[str, str]:
    """Return the verdict and a remark on it."""
    if measured is None:
        return UNKNOWN, ""
    if measured.half is None:
        return OPEN, "one run"
    low, high = measured.mean - measured.half, measured.mean + measured.half
    if claim.within is not None:
        return _equal(low, high, claim.within), ""
    if max(gaps) - min(gaps) <= CONSTANT:
        # Without spread the interval means nothing, as for the ranks of a table.
        return OPEN, "the same in every run"
    return _larger(low, high, claim.at_least) if claim.sign == "+" else _larger(-high, -low, claim.at_least)


def _equal(low: float, high: float, margin: float) -> str:
    if -margin <= low and high <= margin:
        return HOLDS
    return FAILS if low > margin or high < -margin else OPEN


def _larger(low: float, high: float, at_least: float) -> tuple[str, str]:
    if low > at_least:
        return HOLDS, ""
    if high < at_least:
        return FAILS, "the sign does, the size does not" if low > 0 else ""
    return OPEN, "the sign holds, the size is not separated" if low > 0 else ""


def _published(claim: Claim, reported: Sequence[Reported], factors: Sequence[float]) -> float | None:
    """Return the published difference, or that of the two published numbers."""
    if claim.difference is not None:
        return claim.difference
    gaps = []
    for factor in factors:
        pair = [_printed(side, factor, claim, reported) for side in (claim.better, claim.worse)]
        if pair[0] is None or pair[1] is None:
            return None
        gaps.append(pair[0] - pair[1])
    return math.fsum(gaps) / len(gaps) if gaps else None


def _printed(techniques: Combination, factor: float, claim: Claim, reported: Sequence[Reported]) -> float | None:
    wanted = (factor, claim.metric, set(techniques))
    for entry in reported:
        settings = [
            (getattr(entry, field), getattr(claim, field)) for field in ("dataset", "profile", "model", "recipe")
        ]
        if (entry.imbalance_factor, entry.metric, set(entry.techniques)) == wanted and all(
            not a or not b or a == b for a, b in settings
        ):
            return entry.number
    return None
