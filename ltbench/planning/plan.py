"""From a suite to cells, and from cells to a graph of jobs in which no work is done twice.

Works without torch and reads no image.
"""

from __future__ import annotations

import msgspec

from ltbench.core.spec import Job
from ltbench.planning.combinations import LeftOut


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite asks for, before anything runs."""

    jobs: dict[str, Job]
    """Every job by key, in the order in which they are best run: parents first, simple combinations first."""
    left_out: list[LeftOut]
    images: dict[str, int]
    """Images of the training subset of each fit, by its key."""
    trainings_naive: int
    """Trainings that a script would do that trains every cell, and every member of an ensemble, by itself."""
    passes_naive: float = 0.0
    """What that script would cost, in forward passes of an image."""
    passes: dict[str, float] = {}
    """About what each training and prediction costs here, in forward passes of an image, by key."""
    repeated: frozenset[str] = frozenset()
    """Jobs that an earlier part of the same plan has, too."""
    foreseen: frozenset[str] = frozenset()
    """Fits whose state a later part may go on from."""

    def of_kind(self, kind: str) -> list[Job]:
        """Return the jobs of one kind, in order."""
        return [job for job in self.jobs.values() if job.kind == kind]

    @property
    def cells(self) -> list[Job]:
        """The jobs that make a record, one per cell."""
        return self.of_kind("cell")

    @property
    def trainings(self) -> set[str]:
        """Keys of the trainings that cells are made of and that no earlier part has."""
        return {fit for cell in self.cells for fit in cell.spec["members"]} - self.repeated

    @property
    def passes_shared(self) -> float:
        """What the jobs cost that no earlier part has, in forward passes of an image."""
        return sum(passes for key, passes in self.passes.items() if key not in self.repeated)
