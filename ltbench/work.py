"""What a worker does: execute one job in a context."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.cells import Job

if TYPE_CHECKING:
    from ltbench.registry import Registry
    from ltbench.store import Store


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What every job is given besides its own spec. None of it can influence a number."""

    store: Store
    registry: Registry
    data_root: Path
    device: str = "cpu"
    snapshot_seconds: float = 60.0
    """Time between snapshots of a training that is under way."""


def execute(job: Job, context: Context) -> None:
    """Make the artefact, or for a cell the record, of `job`. Raises what goes wrong; nothing half-made remains."""
    match job.kind:
        case "fit":
            from ltbench.engine.fit import fit

            fit(job, context)
        case "predict":
            from ltbench.engine.predict import predict

            predict(job, context)
        case "cell":
            from ltbench.derive import derive

            derive(job, context)
        case _:
            raise ValueError(f"a job of unknown kind '{job.kind}'")
