"""Why a technique cannot be used: with a model, or as its package is not installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ltbench.errors import LtbenchError, lacking
from ltbench.stages import TRAINING_STAGES, Regime
from ltbench.technique import Technique


class CannotBePlanned(Exception):
    """A combination whose trainings do not exist; the message is the reason why it is left out."""


def named_by_techniques(parse: Callable[..., Technique]) -> Callable[..., Technique]:
    """Return `parse` for what a technique names: raises `CannotBePlanned` if that is not installed.

    So one technique that names another package's does not stop a plan of all.
    """

    def parsed(text: str, *stage: str) -> Technique:
        try:
            return parse(text, *stage)
        except LtbenchError as error:
            raise CannotBePlanned(f"it names {text}: {error.what}") from error

    return parsed


def choosy_techniques(
    techniques: Iterable[Technique], regime: Regime, parse: Callable[[str, str], Technique]
) -> list[Technique]:
    """Return the techniques, and those that a regime names, that may not run with every model or on every machine.

    parse: notation and stage of a technique -> technique.
    """
    named = [
        parse(text, stage)
        for phase in regime.phases()
        for stage in TRAINING_STAGES
        if isinstance(text := getattr(phase, stage), str)
    ]
    return [one for one in (*techniques, *named) if one.requires or type(one).unsuited_to is not Technique.unsuited_to]


def reason_against(techniques: Sequence[Technique], models: Iterable[Technique]) -> str:
    """Return why one of the techniques cannot be used with one of the models; empty if all can."""
    for model in models:
        for technique in techniques:
            if reason := missing_package(technique):
                return reason
            if reason := technique.unsuited_to(model):
                return f"{technique.name} cannot be used with model {model.label}: {reason}"
    return ""


def missing_package(technique: Technique) -> str:
    """Return which package a technique lacks, and how to install it; empty if it lacks none."""
    return lacking(technique.name, technique.requires)
