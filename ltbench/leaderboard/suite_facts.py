"""The facts of a suite that its page needs."""

from __future__ import annotations

import msgspec

from ltbench.columns import Column
from ltbench.leaderboard.statistics.record_groups import Pair
from ltbench.suite.published import Claim, Combination, Reported


class SuiteFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page says about its suite; kept beside the records, so that rendering needs neither plugins nor suite."""

    name: str
    title: str = ""
    question: str = ""
    notes: str = ""
    command: str = ""
    """The exact command that makes the records."""
    seeds: tuple[Pair, ...] = ()
    """The pairs (subset seed, training seed) that every combination is run with."""
    unfinished: int = 0
    """Planned cells that have no record after the last run."""
    reported: tuple[Reported, ...] = ()
    """The numbers that the report publishes."""
    claims: tuple[Claim, ...] = ()
    figures: tuple[str, ...] = ()
    """Figures of the page, names of `ltbench.suite.published.FIGURES`."""
    highlight: Combination | None = None
    reference: Combination = ()
    """The combination that differences are taken to; empty for the baseline."""
    metric: str = ""
    """What rows are ranked by; empty for what fits the test split: top-1 or balanced accuracy."""
    columns: tuple[Column, ...] = ()
    """How the numbers of the records are shown, as their metrics declare; empty in files of earlier versions."""
