"""Names techniques in error messages, with stage, distribution and version. Imports nothing heavy."""

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
    """Raise `StateChanged`, which names the technique, if its first call changes the state of the process.

    method: the called method; later calls in the same job are not watched. Built-in techniques are only watched by the
    tests of ltbench and at the end of a job, because watching would be a fifth of the milliseconds that a cell takes.
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
