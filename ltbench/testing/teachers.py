"""Checks of the teacher that an auxiliary or a regime names."""

from __future__ import annotations

from ltbench.core.words import with_article
from ltbench.errors import LtbenchError
from ltbench.stages import MEMBER_STAGES
from ltbench.technique import split_outside
from ltbench.testing.subject import Subject, failed


def check_teacher(on: Subject) -> None:
    """Raise `CheckFailed` if a technique of the teacher is not installed, or is one that no training has."""
    stages = f"techniques of {', '.join(MEMBER_STAGES)}"
    for text in split_outside(on.technique.teacher, ","):
        try:
            stage = on.registry.parse(text.strip()).stage
        except LtbenchError as error:
            raise failed(f"its teacher has '{text}': {error.what}", "an installed technique", stages) from None
        if stage not in MEMBER_STAGES:
            raise failed(f"its teacher has '{text}', {with_article(stage)}", stages, "remove it")
