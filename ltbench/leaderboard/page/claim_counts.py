"""Count the verdicts on claims; comparisons that several claims make count once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from ltbench.leaderboard.page.answer_changes import joined
from ltbench.leaderboard.page.claim_size import LARGER, NO_SIZE, OPPOSITE, SIZES, SMALLER, WITHIN
from ltbench.leaderboard.page.claim_verdicts import DIRECTIONS, FAILS, HOLDS, NOT_TESTED, OPEN, UNKNOWN, Verdict

_ONE = {OPEN: "is undecided", NOT_TESTED: "is not tested", UNKNOWN: "is not measured"}
_MANY = {HOLDS: "hold", FAILS: "do not hold", OPEN: "are undecided", NOT_TESTED: "are not tested", UNKNOWN: "are not measured"}  # fmt: skip
_SIZES = {
    WITHIN: "within the measured interval", SMALLER: "measured smaller", LARGER: "measured larger",
    OPPOSITE: "measured opposite", NO_SIZE: "without a size to judge",
}  # fmt: skip


class ClaimCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many comparisons of a report's claims have each direction and each size."""

    claims: int
    comparisons: int
    repeated: int
    """Comparisons that are left out because an earlier claim makes the same."""
    directions: Mapping[str, int]
    sizes: Mapping[str, int]


def count_claims(judged: Sequence[Verdict]) -> ClaimCounts:
    """Return the counts of verdicts, as `judge` returns them for all claims of a suite."""
    counted = [one for one in judged if not one.repeated]
    directions, sizes = Counter(one.direction for one in counted), Counter(one.size for one in counted)
    return ClaimCounts(
        claims=len({one.claim.text for one in judged}),
        comparisons=len(counted),
        repeated=len(judged) - len(counted),
        directions={word: directions[word] for word in DIRECTIONS},
        sizes={word: sizes[word] for word in SIZES},
    )


def counts_text(counts: ClaimCounts) -> str:
    """Return the counts as sentences: of claims, of directions and of sizes."""
    claims = "1 claim" if counts.claims == 1 else f"{counts.claims} claims"
    tests = "1 comparison" if counts.comparisons == 1 else f"{counts.comparisons} comparisons"
    repeats = "repeats one" if counts.repeated == 1 else "repeat some"
    again = f" ({counts.repeated} more {repeats} of these)" if counts.repeated else ""
    directions = ", ".join(directions_texts(counts))
    sizes = ", ".join(f"{n} {_SIZES[word]}" for word, n in counts.sizes.items() if n)
    return f"{claims} in {tests}{again}. Direction: {directions}. Size: {sizes}."


def directions_texts(counts: ClaimCounts) -> list[str]:
    """Return how many comparisons have each direction: `9 hold`, `1 is undecided`."""
    return [f"{n} {_ONE.get(word, word) if n == 1 else _MANY[word]}" for word, n in counts.directions.items() if n]


def claims_sentence(judged: Sequence[Verdict]) -> str:
    """Return how many comparisons that a report claims hold; empty if none could be judged."""
    counts = count_claims(judged)
    if not any(counts.directions[word] for word in (HOLDS, FAILS, OPEN)):
        return ""
    if counts.directions[HOLDS] == counts.comparisons > 1:
        return f"All {counts.comparisons} comparisons that the report claims hold."
    many = f"{counts.comparisons} comparison{'s' * (counts.comparisons > 1)}"
    return f"Of {many} that the report claims, {joined(directions_texts(counts))}."
