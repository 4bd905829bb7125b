"""The plan of a suite: a graph of jobs in which no work is done twice. Planning needs no torch and reads no images."""

from __future__ import annotations

import msgspec

from ltbench.core.spec import Job
from ltbench.planning.combinations import LeftOut


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a suite, or of a part of it, and their cost."""

    jobs: dict[str, Job]
    """Every job by key, in the order to run them: parents first, simple combinations first."""
    left_out: list[LeftOut]
    combinations: int = 0
    """Combinations whose cells are planned."""
    images: dict[str, int]
    """Images in the training subset of each fit, by its key."""
    trainings_naive: int
    """Trainings without sharing: one for each cell and each member of an ensemble."""
    passes_naive: float = 0.0
    """Cost without sharing, in forward passes of an image."""
    passes: dict[str, float] = {}
    """Estimated cost of each training and prediction, in forward passes of an image, by key."""
    repeated: frozenset[str] = frozenset()
    """Jobs that an earlier part of the same plan has as well."""
    foreseen: frozenset[str] = frozenset()
    """Fits whose state a later part may continue from."""
    notes: tuple[str, ...] = ()
    """Notes on settings without effect and on rows that differ from others, except those of earlier parts."""

    def of_kind(self, kind: str) -> list[Job]:
        """Return the jobs of one kind, in order."""
        return [job for job in self.jobs.values() if job.kind == kind]

    @property
    def cells(self) -> list[Job]:
        """The jobs that write a record, one per cell."""
        return self.of_kind("cell")

    @property
    def trainings(self) -> set[str]:
        """Keys of the trainings that the cells use, except those of earlier parts."""
        return {fit for cell in self.cells for fit in cell.spec["members"]} - self.repeated

    @property
    def passes_shared(self) -> float:
        """Cost of the jobs, except those of earlier parts, in forward passes of an image."""
        return sum(passes for key, passes in self.passes.items() if key not in self.repeated)
