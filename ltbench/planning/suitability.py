"""Why a technique cannot be used with a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ltbench.stages import TRAINING_STAGES, Regime
from ltbench.technique import Technique


def choosy_techniques(
    techniques: Iterable[Technique], regime: Regime, parse: Callable[[str, str], Technique]
) -> list[Technique]:
    """Return the techniques, and those that a regime names, that may not suit every model.

    parse: notation and stage of a technique -> technique.
    """
    named = [
        parse(text, stage)
        for phase in regime.phases()
        for stage in TRAINING_STAGES
        if isinstance(text := getattr(phase, stage), str)
    ]
    return [one for one in (*techniques, *named) if type(one).unsuited_to is not Technique.unsuited_to]


def reason_against(techniques: Sequence[Technique], models: Iterable[Technique]) -> str:
    """Return why one of the techniques cannot be used with one of the models; empty if all can."""
    for model in models:
        for technique in techniques:
            if reason := technique.unsuited_to(model):
                return f"{technique.name} cannot be used with model {model.label}: {reason}"
    return ""
