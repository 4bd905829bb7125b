"""Combinations of techniques, and why some are left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from ltbench.errors import UsageError
from ltbench.executor import Techniques
from ltbench.stages import STAGES, TECHNIQUE_STAGES, Technique
from ltbench.suite.suite import Strategy, Suite


class Combination(msgspec.Struct, frozen=True, dict=True):
    """At most one technique per stage, in the order of the stages."""

    techniques: tuple[Technique, ...] = ()

    @cached_property
    def by_stage(self) -> dict[str, Technique]:
        """The picked techniques by stage."""
        return {technique.stage: technique for technique in self.techniques}

    @cached_property
    def label(self) -> str:
        """The combination as a leaderboard writes it."""
        return " + ".join(technique.label for technique in self.techniques) or "baseline"

    @cached_property
    def notes(self) -> list[str]:
        """What is doubtful about the combination, although it runs."""
        names = {technique.name for technique in self.techniques}
        return sorted(
            f"{technique.name} with {other}: {note}"
            for technique in self.techniques
            for other, note in technique.doubtful.items()
            if other in names
        )


class LeftOut(msgspec.Struct, frozen=True):
    """A combination that is not run, and why."""

    combination: Combination
    reason: str


def suite_combinations(suite: Suite, registry: Techniques) -> Iterator[Combination | LeftOut]:
    """Yield what a suite combines, in anytime order."""
    parsed = registry.parse_all
    if suite.combinations:
        choices = [[parsed(text) for text in row] for row in suite.combinations]
        return listed_combinations((row for each in choices for row in itertools.product(*each)), suite.max_techniques)
    techniques = [t for text in suite.techniques for t in parsed(text)]
    return combine(techniques, suite.strategy, suite.max_techniques)


def combine(
    techniques: Sequence[Technique], strategy: Strategy = "all", max_techniques: int | None = None
) -> Iterator[Combination | LeftOut]:
    """Yield combinations in anytime order: the baseline, then single techniques, pairs, triples and so on.

    techniques: what is combined; several of one stage are alternatives. The order in which they are given matters to
    `cumulative` alone (a, a+b, a+b+c ...).
    """
    for combination in _candidates(techniques, strategy, max_techniques):
        reason = reason_left_out(combination)
        yield LeftOut(combination, reason) if reason else combination


def listed_combinations(
    rows: Iterable[Sequence[Technique]], max_techniques: int | None = None
) -> Iterator[Combination | LeftOut]:
    """Yield the baseline and the combinations of a list, those of few techniques first."""
    made = [_ordered(_one_per_stage([t for t in row if not t.baseline], "a listed combination")) for row in rows]
    for combination in sorted(dict.fromkeys([Combination(), *made]), key=lambda c: len(c.techniques)):
        if max_techniques is None or len(combination.techniques) <= max_techniques:
            reason = reason_left_out(combination)
            yield LeftOut(combination, reason) if reason else combination


def reason_left_out(combination: Combination) -> str:
    """Return why a combination is not worth running; empty where it is."""
    picked = combination.by_stage
    names = {technique.name: technique for technique in combination.techniques}
    for technique in combination.techniques:
        for other, reason in technique.conflicts.items():
            if other in names or (other in picked and picked[other] is not technique):
                with_whom = other if other in names else picked[other].name
                return f"{technique.name} cannot go with {with_whom}: {reason}"
        for other, reason in technique.needs.items():
            if other not in names and other not in picked:
                return f"{technique.name} needs {_named(other)}: {reason}"
    return ""


def _named(other: str) -> str:
    return f"a technique of stage {other}" if other in STAGES else other


def _candidates(
    techniques: Sequence[Technique], strategy: Strategy, max_techniques: int | None
) -> Iterable[Combination]:
    distinct = list(dict.fromkeys(technique for technique in techniques if not technique.baseline))
    by_stage: dict[str, list[Technique]] = {}
    for stage in TECHNIQUE_STAGES:
        alternatives = sorted((t for t in distinct if t.stage == stage), key=lambda t: t.label)
        if alternatives:
            by_stage[stage] = alternatives
    most = len(by_stage) if max_techniques is None else min(max_techniques, len(by_stage))
    match strategy:
        case "all":
            return _products(by_stage, most)
        case "each":
            return _products(by_stage, min(1, most))
        case "pairs":
            return _products(by_stage, min(2, most))
        case "cumulative":
            line = _one_per_stage(distinct, f"strategy '{strategy}'", ", or use --strategy all")
            return (_ordered(line[:n]) for n in range(min(len(line), most) + 1))
        case "leave-one-out":
            line = _one_per_stage(distinct, f"strategy '{strategy}'", ", or use --strategy all")
            less = [[t for t in line if t is not left] for left in line]
            rows = [[], *less, line] if len(line) > 1 else [[], *([line] if line else [])]
            return (_ordered(row) for row in rows if len(row) <= most)


def _products(by_stage: dict[str, list[Technique]], most: int) -> Iterator[Combination]:
    for size in range(most + 1):
        for stages in itertools.combinations(by_stage, size):
            for picked in itertools.product(*(by_stage[stage] for stage in stages)):
                yield Combination(picked)


def _one_per_stage(techniques: Sequence[Technique], how: str, fix: str = "") -> list[Technique]:
    seen: dict[str, Technique] = {}
    for technique in techniques:
        if other := seen.get(technique.stage):
            raise UsageError(
                f"{how} stacks one technique per stage, and {other.label} and {technique.label} are "
                f"both of stage {technique.stage}",
                fix=f"name one of them{fix}",
            )
        seen[technique.stage] = technique
    return list(seen.values())


def _ordered(techniques: Iterable[Technique]) -> Combination:
    return Combination(tuple(sorted(techniques, key=lambda t: TECHNIQUE_STAGES.index(t.stage))))
