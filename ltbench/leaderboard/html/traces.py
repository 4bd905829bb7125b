"""The origin of each number: configuration, environment, plugins and log of its cell."""

from __future__ import annotations

from typing import Any

import msgspec

from ltbench.leaderboard.html.embedded_json import Pool
from ltbench.leaderboard.tables.markdown import last_lines
from ltbench.records.record import Record
from ltbench.verification.rerun import command_of

LOG_LINES = 400
"""Last lines of a log that a report has."""


def trace(record: Record, pool: Pool) -> dict[str, Any]:
    """Return the trace of a cell; environment and plugins are numbers in the pool, empty notes and logs are left out."""
    plugins = [[p.stage, p.name, p.distribution, p.version, p.revision, p.source] for p in record.plugins]
    error = record.error
    held_out = {} if record.held_out is msgspec.UNSET else record.held_out.metrics
    numbers = record.metrics | {f"held_out.{name}": value for name, value in held_out.items()}
    texts = {
        "notes": record.notes,
        "error": "" if error is None else f"{error.type}: {error.message}",
        "log": "" if error is None else "\n".join(last_lines(error.log, LOG_LINES)),
    }
    return {
        "id": record.id,
        "digest": record.digest,
        "subset_seed": record.setting.subset_seed,
        "seed": record.setting.seed,
        "metrics": {name: _short(value, 6) for name, value in numbers.items()},
        "cost": {name: _short(value, 4) for name, value in record.cost.items()},
        "environment": pool.put(record.environment),
        "plugins": pool.put(plugins),
        "spec": record.spec,
        "fits": record.fits,
        "command": command_of(record),
        **{name: text for name, text in texts.items() if text},
    }


def _short(value: float | None, digits: int) -> float | int | None:
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
