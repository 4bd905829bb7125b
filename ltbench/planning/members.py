"""The members of an ensemble: what each of them trains with, and where its training ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ltbench.core.spec import Spec
from ltbench.errors import PluginError
from ltbench.planning.combinations import Combination, ordered, reason_left_out
from ltbench.planning.segments import cut
from ltbench.planning.shared_fits import Segments
from ltbench.stages import MEMBER_STAGES, TRAINING_STAGES, Auxiliary, Ensemble, Member, Phase, Regime
from ltbench.technique import Technique, split_outside


class MemberFit(NamedTuple):
    """The training of a member."""

    spec: Spec
    """Of its fit at training seed 0, without subset seed and segments."""
    segments: Segments
    foreseen: list[Segments]
    """States that trainings of a later part may resume from."""
    teacher: MemberFit | None = None


class CannotBePlanned(Exception):
    """A combination whose members do not exist; the message is the reason why it is left out."""


def member_combination(
    combination: Combination, ensemble: Ensemble, member: Member, parse: Callable[[str], Technique]
) -> Combination:
    """Return the combination that a member trains with: that of the cell, with its own techniques.

    Raises `PluginError` for a technique of a stage that no member has, and `CannotBePlanned` if they do not go together.
    """
    if not member.techniques:
        return combination
    picked = {stage: technique for stage, technique in combination.by_stage.items() if stage != ensemble.stage}
    for technique in map(parse, member.techniques):
        if technique.stage not in MEMBER_STAGES:
            raise PluginError(
                f"ensemble '{ensemble.label}' has a member with {technique.stage} '{technique.label}'",
                fix=f"techniques of a member are of the stages {', '.join(MEMBER_STAGES)}",
            )
        picked.pop(technique.stage, None)
        if not technique.baseline:
            picked[technique.stage] = technique
    changed = ordered(picked.values())
    if reason := reason_left_out(changed):
        raise CannotBePlanned(f"a member of {ensemble.label} has {changed.label}: {reason}")
    return changed


def teacher_combination(
    combination: Combination, phases: Sequence[Phase], parse: Callable[..., Technique]
) -> Combination | None:
    """Return the techniques of the teacher that a technique names; None without one.

    phases: those of the regime, which may name an auxiliary. Raises `PluginError` for a technique that no training has, and
    `CannotBePlanned` if the techniques name different teachers, or do not go together.
    """
    auxiliaries = [parse(phase.auxiliary, "auxiliary") for phase in phases if isinstance(phase.auxiliary, str)]
    named = {
        technique.teacher: technique.name
        for technique in (*combination.techniques, *auxiliaries)
        if isinstance(technique, Auxiliary | Regime) and technique.teacher
    }
    if not named:
        return None
    if len(named) > 1:
        raise CannotBePlanned(" and ".join(f"{name} has teacher {text}" for text, name in sorted(named.items())))
    ((text, name),) = named.items()
    techniques = [parse(part.strip()) for part in split_outside(text, ",")]
    if wrong := [technique.label for technique in techniques if technique.stage not in MEMBER_STAGES]:
        raise PluginError(
            f"{name} has a teacher with {', '.join(wrong)}",
            fix=f"techniques of a teacher are of the stages {', '.join(MEMBER_STAGES)}",
        )
    if taught := [one.label for one in techniques if isinstance(one, Auxiliary | Regime) and one.teacher]:
        raise CannotBePlanned(f"{name} has a teacher with {', '.join(taught)}, which has a teacher itself")
    teacher = ordered(technique for technique in techniques if not technique.baseline)
    if reason := reason_left_out(teacher):
        raise CannotBePlanned(f"{name} has a teacher with {teacher.label}: {reason}")
    return teacher


def member_segments(segments: Segments, ensemble: Ensemble, member: Member) -> Segments:
    """Return the segments of a member. Raises `CannotBePlanned` if its training has no state to end at."""
    if member.until is None:
        return segments
    part = cut(segments, member.until)
    if part is None:
        ends = [f"{segment['until']:.4g}" for segment in segments.specs]
        past = member.until > segments.specs[-1]["until"]
        why = f"ends at {ends[-1]}" if past else f"has phases that restart, and they end at {', '.join(ends)}"
        raise CannotBePlanned(f"{ensemble.label} has a member that ends at {member.until:.4g}, but its training {why}")
    return part


def check_use(combination: Combination, ensemble: Ensemble, members: Sequence[Combination]) -> None:
    """Raise `CannotBePlanned` if all members replace a technique of the cell, which is then without effect."""
    for stage, technique in combination.by_stage.items():
        if stage in MEMBER_STAGES and not any(member.by_stage.get(stage) == technique for member in members):
            raise CannotBePlanned(
                f"{technique.name} has no effect: every member of {ensemble.label} has another {stage} instead"
            )


def check_phases(combination: Combination, members: Sequence[MemberFit], spec: Callable[[Technique], Spec]) -> None:
    """Raise `CannotBePlanned` if no phase of the trainings uses a technique of the cell."""
    for stage, technique in combination.by_stage.items():
        if stage in TRAINING_STAGES and not any(
            segment.get(stage) == spec(technique) for member in members for segment in member.segments.specs
        ):
            raise CannotBePlanned(f"{technique.name} has no effect: no phase of the training uses it")
