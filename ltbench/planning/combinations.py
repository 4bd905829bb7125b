"""Combines techniques, and gives a reason for every combination that is left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property

import msgspec

from ltbench.core.row_labels import row_label
from ltbench.errors import UnknownName, UsageError
from ltbench.executor import Techniques
from ltbench.jobs.evidence import why_without_held_out
from ltbench.planning.screen import Pair, Screen, screen
from ltbench.planning.space import Space
from ltbench.planning.suitability import reason_against
from ltbench.stages import STAGES, TECHNIQUE_STAGES, Posthoc, Technique, always_stated
from ltbench.suite.method_rows import expanded_rows, without_methods
from ltbench.suite.suite import Strategy, Suite

MOST: dict[str, int | None] = {"all": None, "each": 1, "pairs": 2}
"""Most techniques of a combination, by strategy, for those that combine the techniques of all stages."""


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
        return row_label(technique.label for technique in self.techniques)

    @property
    def stated(self) -> dict[str, str | None]:
        """The technique of each stage as a record states it; None for the baseline of a stage that is always stated."""
        picked = self.by_stage
        return {
            stage: picked[stage].label if stage in picked else None
            for stage in TECHNIQUE_STAGES
            if stage in picked or always_stated(stage)
        }

    @cached_property
    def notes(self) -> list[str]:
        """Notes for the leaderboard on doubtful pairs of techniques."""
        names = {technique.name for technique in self.techniques}
        return sorted(
            f"{technique.name} with {other}: {note}"
            for technique in self.techniques
            for other, note in technique.doubtful.items()
            if other in names
        )


class LeftOut(msgspec.Struct, frozen=True):
    """A combination that is not run, with the reason."""

    combination: Combination
    reason: str


def suite_combinations(
    suite: Suite, registry: Techniques, rows: Iterable[tuple[Technique, ...]] | None = None
) -> Iterator[Combination | LeftOut]:
    """Yield the combinations of a suite in anytime order: those with few techniques first.

    rows: the combinations to yield, if they are chosen already: those of a walk or of a screening design.
    If the reference is not among the combinations, it is yielded last, as left out. Raises an error if no plugin
    provides a technique of the reference.
    """
    found = _suite_combinations(suite, registry) if rows is None else map(Combination, rows)
    found = map(_leave_out_unsuited(suite, registry), found)
    if not suite.reference:
        return found
    techniques = [registry.parse(text) for text in without_methods(suite.reference, registry)]
    kept = [technique for technique in techniques if not technique.baseline]
    return _with_reference(found, ordered(_one_per_stage(kept, "the reference of a suite")))


def _leave_out_unsuited(suite: Suite, registry: Techniques) -> Callable[[Combination | LeftOut], Combination | LeftOut]:
    """Return a function that leaves out a combination with a technique that cannot run in the suite."""
    why_not = why_unsuited(suite, registry)

    def leave_out(one: Combination | LeftOut) -> Combination | LeftOut:
        if isinstance(one, LeftOut):
            return one
        reason = next(filter(None, map(why_not, one.techniques)), "")
        return LeftOut(one, reason) if reason else one

    return leave_out


def why_unsuited(suite: Suite, registry: Techniques) -> Callable[[Technique], str]:
    """Return a function that gives the reason why a technique cannot run in the suite; empty if it can."""
    models = [model for text in suite.models for model in registry.parse_all(text)]

    @cache
    def why_not(technique: Technique) -> str:
        if isinstance(technique, Posthoc) and not suite.held_out and (reason := why_without_held_out(technique)):
            return reason
        reasons = [reason_against([technique], [model]) for model in models]
        return reasons[0] if reasons and all(reasons) else ""

    return why_not


def _techniques(suite: Suite, registry: Techniques) -> list[Technique]:
    """Return the techniques that a suite combines, without those that cannot run in it."""
    why_not = why_unsuited(suite, registry)
    return [t for text in suite.techniques for t in registry.parse_all(text) if not why_not(t)]


def _with_reference(found: Iterator[Combination | LeftOut], reference: Combination) -> Iterator[Combination | LeftOut]:
    there = False
    for one in found:
        there = there or one == reference
        yield one
    if not there:
        yield LeftOut(
            reference,
            "it is the suite's reference but not among its combinations, so no differences to it are shown",
        )


def suite_space(suite: Suite, registry: Techniques) -> Space | None:
    """Return the space of a suite that combines techniques of every stage; None for a list or a stack of techniques."""
    if suite.combinations or suite.strategy not in MOST:
        return None
    techniques = _techniques(suite, registry)
    return _space(techniques, suite.strategy, suite.max_techniques)


def suite_screen(
    suite: Suite, registry: Techniques, excluded: tuple[tuple[Technique, Technique], ...] = ()
) -> Screen | None:
    """Return the screening design of a suite, if it has one. Raises `UsageError` for an invalid pair or too few rows.

    excluded: pairs that no row may have, besides those that conflict.
    """
    if suite.combinations or suite.strategy != "screen":
        return None
    techniques = _distinct(_techniques(suite, registry))
    pairs = []
    for texts in suite.screen_pairs:
        pair = [registry.parse(text) for text in texts]
        for technique in pair:
            if technique not in techniques:
                raise UnknownName.of(
                    "technique of a screening pair", technique.label, [one.label for one in techniques],
                    where="techniques of the suite",
                )  # fmt: skip
        first, second = ordered(_one_per_stage(pair, "a screening pair")).techniques
        pairs.append((first, second))
    return _screen(techniques, suite.max_techniques, tuple(dict.fromkeys(pairs)), suite.screen_rows, excluded)


def _screen(
    techniques: Sequence[Technique],
    most: int | None,
    pairs: tuple[Pair, ...] = (),
    rows: int | None = None,
    excluded: tuple[tuple[Technique, Technique], ...] = (),
) -> Screen:
    space = _space(techniques, "all", most)
    least = 1 + len(space.techniques) + len(pairs)
    if rows is not None and rows < least:
        raise UsageError(f"a screening design of {least - 1} effects has at least {least} rows, not {rows}",
                         fix=f"screen_rows = {least} or more, or fewer techniques")  # fmt: skip
    return screen(tuple(space.techniques), pairs, most, rows, excluded)


def _suite_combinations(suite: Suite, registry: Techniques) -> Iterator[Combination | LeftOut]:
    if suite.combinations:
        rows = (techniques for row in suite.combinations for techniques in expanded_rows(row, registry))
        return listed_combinations(rows, suite.max_techniques)
    if (design := suite_screen(suite, registry)) is not None:
        return map(Combination, design.rows)
    techniques = [t for text in suite.techniques for t in registry.parse_all(text)]
    return combine(techniques, suite.strategy, suite.max_techniques)


def combine(
    techniques: Sequence[Technique],
    strategy: Strategy = "all",
    max_techniques: int | None = None,
) -> Iterator[Combination | LeftOut]:
    """Yield combinations in anytime order: the baseline, then single techniques, pairs, triples and so on.

    techniques: several of one stage are alternatives. Their order matters only for `cumulative` (a, a+b, a+b+c ...).
    """
    return map(_or_left_out, _candidates(techniques, strategy, max_techniques))


def listed_combinations(
    rows: Iterable[Sequence[Technique]], max_techniques: int | None = None
) -> Iterator[Combination | LeftOut]:
    """Yield the baseline and the listed combinations, those with few techniques first."""
    combinations = [ordered(_one_per_stage([t for t in row if not t.baseline], "a listed combination")) for row in rows]
    for combination in sorted(dict.fromkeys([Combination(), *combinations]), key=lambda c: len(c.techniques)):
        if max_techniques is None or len(combination.techniques) <= max_techniques:
            yield _or_left_out(combination)


def _or_left_out(combination: Combination) -> Combination | LeftOut:
    reason = reason_left_out(combination)
    return LeftOut(combination, reason) if reason else combination


def reason_left_out(combination: Combination, needing: Sequence[Technique] | None = None) -> str:
    """Return why a combination is left out; empty if it runs. needing: whose needs count; None for all."""
    picked = combination.by_stage
    names = {technique.name: technique for technique in combination.techniques}
    for technique in combination.techniques:
        for other, reason in technique.conflicts.items():
            # A conflict with the technique's own stage does not concern the technique itself.
            if other in names or (other in picked and picked[other] is not technique):
                partner = other if other in names else picked[other].name
                return f"{technique.name} cannot be combined with {partner}: {reason}"
        needs = technique.needs if needing is None or technique in needing else {}
        for other, reason in needs.items():
            if other not in names and other not in picked:
                needed = f"a technique of stage {other}" if other in STAGES else other
                return f"{technique.name} needs {needed}: {reason}"
    return ""


def _candidates(
    techniques: Sequence[Technique], strategy: Strategy, max_techniques: int | None
) -> Iterable[Combination]:
    if strategy in MOST:
        return _products(_space(techniques, strategy, max_techniques))
    distinct = _distinct(techniques)
    if strategy == "screen":
        return map(Combination, _screen(distinct, max_techniques).rows)
    stack = _one_per_stage(distinct, f"strategy '{strategy}'", ", or use --strategy all")
    if strategy == "cumulative":
        rows = [stack[:n] for n in range(len(stack) + 1)]
    else:
        # For a single technique, leaving one out gives the baseline.
        reduced = [[t for t in stack if t is not left] for left in stack] if len(stack) > 1 else []
        rows = [[], *reduced, *([stack] if stack else [])]
    return (ordered(row) for row in rows if max_techniques is None or len(row) <= max_techniques)


def _distinct(techniques: Sequence[Technique]) -> list[Technique]:
    return list(dict.fromkeys(technique for technique in techniques if not technique.baseline))


def _space(techniques: Sequence[Technique], strategy: Strategy, max_techniques: int | None) -> Space:
    by_stage: dict[str, list[Technique]] = {}
    distinct = _distinct(techniques)
    for stage in TECHNIQUE_STAGES:
        # Sorted, so that the order of the command line changes neither plan nor leaderboard.
        alternatives = sorted((t for t in distinct if t.stage == stage), key=lambda t: t.label)
        if alternatives:
            by_stage[stage] = alternatives
    limits = [limit for limit in (MOST[strategy], max_techniques) if limit is not None]
    return Space(by_stage, min(limits, default=None))


def _products(space: Space) -> Iterator[Combination]:
    for size in range(space.most + 1):
        for stages in itertools.combinations(space.stages, size):
            for picked in itertools.product(*(space.of(stage) for stage in stages)):
                yield Combination(picked)


def _one_per_stage(techniques: Sequence[Technique], how: str, fix: str = "") -> list[Technique]:
    by_stage: dict[str, Technique] = {}
    for technique in techniques:
        if other := by_stage.get(technique.stage):
            raise UsageError(
                f"{how} has at most one technique per stage, but {other.label} and {technique.label} are "
                f"both of stage {technique.stage}",
                fix=f"remove one of them{fix}",
            )
        by_stage[technique.stage] = technique
    return list(by_stage.values())


def ordered(techniques: Iterable[Technique]) -> Combination:
    """Return the combination of techniques of different stages."""
    return Combination(tuple(sorted(techniques, key=lambda t: TECHNIQUE_STAGES.index(t.stage))))
