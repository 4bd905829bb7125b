"""The origin of each number: configuration, environment, plugins and log of its cell."""

from __future__ import annotations

import msgspec

from ltbench.core.spec import Spec
from ltbench.leaderboard.html.embedded_json import Pool
from ltbench.leaderboard.tables.markdown import last_lines
from ltbench.records.record import Record
from ltbench.verify.rerun import command_of

LOG_LINES = 400
"""Last lines of a log that a report has."""


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One cell. environment, plugins: indices into the pool."""

    id: str
    digest: str
    subset_seed: int
    seed: int
    metrics: dict[str, float | int | None]
    cost: dict[str, float | int | None]
    environment: int
    plugins: int
    spec: Spec
    fits: list[Spec]
    command: str
    notes: list[str] = []
    error: str = ""
    log: str = ""


def trace(record: Record, pool: Pool) -> Trace:
    """Return the trace of a cell."""
    error = record.error
    return Trace(
        id=record.id,
        digest=record.digest,
        subset_seed=record.setting.subset_seed,
        seed=record.setting.seed,
        metrics={name: _short(value, 6) for name, value in record.metrics.items()},
        cost={name: _short(value, 4) for name, value in record.cost.items()},
        environment=pool.put(record.environment),
        plugins=pool.put([[p.stage, p.name, p.distribution, p.version, p.revision, p.source] for p in record.plugins]),
        spec=record.spec,
        fits=record.fits,
        command=command_of(record),
        notes=record.notes,
        error="" if error is None else f"{error.type}: {error.message}",
        log="" if error is None else "\n".join(last_lines(error.log, LOG_LINES)),
    )


def _short(value: float | None, digits: int) -> float | int | None:
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
