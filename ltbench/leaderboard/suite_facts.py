"""The facts of a suite that its page needs."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING

import msgspec

from ltbench.columns import Column
from ltbench.errors import LtbenchError
from ltbench.leaderboard.statistics.record_groups import Pair
from ltbench.suite.published import Claim, Combination, Reported, as_recorded

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.suite.suite import Suite


class SuiteFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page says about its suite; kept beside the records, so that rendering needs neither plugins nor suite."""

    name: str
    title: str = ""
    question: str = ""
    notes: str = ""
    command: str = ""
    """The exact command that makes the records."""
    definition: str = ""
    """Digest of what decides about the cells of the suite; empty in files of earlier versions."""
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
    methods: dict[str, tuple[str, ...]] | msgspec.UnsetType = msgspec.UNSET
    """Methods whose parts the suite has -> labels of these, as rows that have all of them are named."""
    screen_pairs: tuple[tuple[str, str], ...] | msgspec.UnsetType = msgspec.UNSET
    """If the rows are those of a screening design: the pairs of techniques whose interaction it estimates."""
    columns: tuple[Column, ...] = ()
    """How the numbers of the records are shown, as their metrics declare; empty in files of earlier versions."""

    @property
    def own_command(self) -> str:
        """The command, if it is one of ltbench and nothing else; a file that was made elsewhere may say anything."""
        try:
            words = shlex.split(self.command)
        except ValueError:
            return ""
        return self.command if words[:1] == ["ltbench"] and shlex.join(words) == self.command else ""

    @property
    def method_parts(self) -> dict[str, tuple[str, ...]]:
        """Methods -> labels of their parts; empty without any."""
        return {} if self.methods is msgspec.UNSET else self.methods


def with_suite(facts: SuiteFacts, suite: Suite, registry: Techniques) -> SuiteFacts:
    """Return the facts with what the file of the suite says; what its runs say, as command and seeds, stays."""
    return msgspec.structs.replace(
        facts,
        title=suite.title,
        question=suite.question,
        notes=suite.notes,
        reported=tuple(number.with_recorded_labels(registry) for number in suite.reported),
        claims=tuple(claim.with_recorded_labels(registry) for claim in suite.claims),
        figures=suite.figures,
        metric=suite.metric,
        highlight=None if suite.highlight is None else as_recorded(suite.highlight, registry),
        reference=as_recorded(suite.reference, registry),
        methods=_methods(suite, registry) or msgspec.UNSET,
        screen_pairs=_screen_pairs(suite, registry),
    )


def _methods(suite: Suite, registry: Techniques) -> dict[str, tuple[str, ...]]:
    """Return the methods whose parts are all among the techniques of a suite, with the labels of records."""
    labels = {technique.label for text in suite.techniques for technique in registry.parse_all(text)}
    found = {}
    for name in sorted(registry.methods):
        # A method with a part that is not installed names nothing.
        with contextlib.suppress(LtbenchError):
            parts = tuple(technique.label for technique in registry.parse_all(name) if not technique.baseline)
            if set(parts) <= labels:
                found[name] = parts
    return found


def _screen_pairs(suite: Suite, registry: Techniques) -> tuple[tuple[str, str], ...] | msgspec.UnsetType:
    if suite.strategy != "screen":
        return msgspec.UNSET
    return tuple((one.label, two.label) for one, two in (map(registry.parse, pair) for pair in suite.screen_pairs))
