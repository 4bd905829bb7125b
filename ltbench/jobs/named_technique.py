"""Names the technique in errors of the harness, with stage, distribution and version. Imports nothing heavy."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from ltbench.core.plugins import BUILT_IN
from ltbench.core.process_state import unchanged, written
from ltbench.errors import StateChanged

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.technique import Technique


def leaving_no_state(registry: Techniques, technique: Technique, method: str) -> AbstractContextManager[None]:
    """Raise `StateChanged`, which names the technique, where its first call leaves the state of the process changed.

    method: which call it is; later calls of it in the same job are not watched. Built-in techniques are watched by the
    tests of ltbench and at the end of the job alone: a cell takes milliseconds, and these calls would be a fifth of it.
    """
    if registry.provenance(technique)["distribution"] == BUILT_IN:
        return nullcontext()
    return unchanged(
        lambda changes: StateChanged.by(full_name(registry, technique), written(changes)), first=(technique, method)
    )


def full_name(registry: Techniques, technique: Technique) -> str:
    """Return stage, label, distribution and version of a technique, for an error message."""
    made = registry.provenance(technique)
    return f"{technique.stage} '{technique.label}' of {made['distribution']} {made['version']}"
