"""Checks of regimes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, get_args, get_origin

from ltbench.core.words import with_article
from ltbench.errors import LtbenchError
from ltbench.planning.segments import restart_problem
from ltbench.stages import TRAINING_STAGES, Phase
from ltbench.technique import allowed, fields
from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.subject import Subject, failed
from ltbench.testing.teachers import check_teacher


@per_setting
def phases_cover_the_training(on: Subject) -> None:
    """Phases have increasing `until` above 0, and the last one ends at 1 or later.

    `until` is a fraction of the whole training. The learning-rate schedule of the training ends at 1, so a phase that
    ends later restarts.
    """
    phases = list(on.technique.phases())
    fix = "return [Phase(until=0.8), Phase(until=1.0)]"
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise failed(f"phases() returned {phases!r}", "at least one Phase", fix)
    ends = [phase.until for phase in phases]
    if not (all(map(math.isfinite, ends)) and ends[0] > 0 and ends[-1] >= 1):
        raise failed(f"phases end at {ends}", "the first one after 0, the last one at 1 or later", fix)
    if any(after <= before for before, after in pairwise(ends)):
        raise failed(f"phases end at {ends}", "increasing values", fix)
    if problem := restart_problem(phases):
        raise failed(problem, "a phase with restart", "Phase(until=1.05, restart=True)")


@per_setting
def learning_rates_are_positive(on: Subject) -> None:
    """`lr_scale`, the factor on the learning rate, is positive and finite in every phase.

    A phase with a learning rate of zero trains nothing.
    """
    for phase in on.technique.phases():
        if not (math.isfinite(phase.lr_scale) and phase.lr_scale > 0):
            raise failed(f"lr_scale is {phase.lr_scale}", "a positive factor", "lr_scale=0.1")


@per_setting
def phases_change_what_they_can(on: Subject) -> None:
    """In every phase, `weight_decay_scale` is finite and >= 0, `max_norm` is positive, and each choice is a known one.

    A typing error in a choice would have no effect.
    """
    for phase in on.technique.phases():
        if not (math.isfinite(phase.weight_decay_scale) and phase.weight_decay_scale >= 0):
            raise failed(f"weight_decay_scale is {phase.weight_decay_scale}", "a factor >= 0", "weight_decay_scale=10")
        if phase.max_norm is not None and not (math.isfinite(phase.max_norm) and phase.max_norm > 0):
            raise failed(f"max_norm is {phase.max_norm}", "a positive norm, or None", "max_norm=0.1")
        for field in fields(Phase):
            value = getattr(phase, field.name)
            if get_origin(field.type) is Literal and value not in get_args(field.type):
                raise failed(
                    f"{field.name} is {value!r}", f"one of {allowed(field.type)}", "ltbench.Phase has the list"
                )


@per_setting
def phases_name_techniques(on: Subject) -> None:
    """A technique that a phase has in place of a switch is installed, and of the stage of the switch.

    The plan of every combination with the regime would fail.
    """
    for phase in on.technique.phases():
        for stage in TRAINING_STAGES:
            text = getattr(phase, stage)
            if isinstance(text, bool):
                continue
            try:
                on.registry.parse(text, stage)
            except LtbenchError as error:
                fix = error.fix or f"True, False, or the name of {with_article(stage)}"
                raise failed(f"{stage} is '{text}': {error.what}", "an installed technique of the stage", fix) from None


@per_setting
def teacher_can_be_trained(on: Subject) -> None:
    """The techniques of a teacher are installed, and of stages up to the regime.

    It is a training of its own.
    """
    if not on.technique.teacher:
        raise Skip("it names no teacher")
    check_teacher(on)


REGIME = (
    phases_cover_the_training,
    learning_rates_are_positive,
    phases_change_what_they_can,
    phases_name_techniques,
    teacher_can_be_trained,
)
