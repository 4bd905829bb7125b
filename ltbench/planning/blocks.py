"""Which techniques need a network whose blocks the model names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ltbench.stages import Branches, Mix, Regime
from ltbench.technique import Technique


def needing_blocks(techniques: Iterable[Technique], regime: Regime, parse: Callable[[str, str], Technique]) -> str:
    """Return the label of a technique that needs blocks: branches, or a mix inside the network; empty if there is none.

    parse: notation and stage of a technique -> technique, for the mixes that a regime names.
    """
    replaced = [parse(phase.mix, Mix.stage) for phase in regime.phases() if isinstance(phase.mix, str)]
    for technique in (*techniques, *replaced):
        if isinstance(technique, Branches) or (isinstance(technique, Mix) and technique.where == "hidden"):
            return technique.label
    return ""
