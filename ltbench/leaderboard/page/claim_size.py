"""The size of a claim: the difference that a report prints, and whether the measured interval has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.suite.published import Claim, Combination, Reported, SettingFilter

WITHIN, SMALLER, LARGER, OPPOSITE, NO_SIZE = "within the interval", "smaller", "larger", "opposite", "no size"
SIZES: Final = (WITHIN, SMALLER, LARGER, OPPOSITE, NO_SIZE)
NOT_PRINTED = "not printed"
_SETTINGS = ("dataset", "profile", "model", "recipe")


def size_of(measured: Estimate | None, published: float | None) -> tuple[str, str]:
    """Return what was measured relative to what is printed, and the reason where there is no size to judge.

    The measured difference is within where its 95 % interval has the published one, and opposite where the whole
    interval is on the other side of zero; otherwise it is smaller or larger.
    """
    if published is None:
        return NO_SIZE, NOT_PRINTED
    if measured is None:
        return NO_SIZE, "not measured"
    if measured.interval is None:
        return NO_SIZE, f"{'one seed' if measured.n < 2 else 'the same in every run'}: no interval"
    sign = -1.0 if published < 0 else 1.0
    low, high = sorted(sign * end for end in measured.interval)
    if low <= abs(published) <= high:
        return WITHIN, ""
    return OPPOSITE if high < 0 else LARGER if low > abs(published) else SMALLER, ""


def published_size(
    claim: Claim, reported: Sequence[Reported], factors: Sequence[float], group: RecordGroup | None
) -> float | None:
    """Return the difference that the report prints for a claim, or that of the two numbers that it prints.

    factors: those that the claim is judged on; group: the records, None where there are none.
    """
    if claim.difference is not None:
        return claim.difference
    if claim.at_least:
        return -claim.at_least if claim.sign == "-" else claim.at_least
    if isinstance(claim.worse, str):
        return None
    gaps = []
    for factor in factors:
        better, worse = (_printed(side, factor, claim, reported, group) for side in (claim.better, claim.worse))
        if better is None or worse is None:
            return None
        gaps.append(better - worse)
    return math.fsum(gaps) / len(gaps) if gaps else None


def _printed(
    techniques: Combination, factor: float, claim: Claim, reported: Sequence[Reported], group: RecordGroup | None
) -> float | None:
    wanted = (factor, claim.metric, set(techniques))
    for entry in reported:
        if (entry.imbalance_factor, entry.metric, set(entry.techniques)) == wanted and (
            group.matches(entry) if group is not None else _fits(entry, claim)
        ):
            return entry.number
    return None


def _fits(entry: SettingFilter, claim: SettingFilter) -> bool:
    """Return whether a number may be of the settings of a claim."""
    pairs = [(getattr(entry, field), getattr(claim, field)) for field in _SETTINGS]
    return all(not one or not other or one == other for one, other in pairs)
