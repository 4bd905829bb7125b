"""Second stages that continue the finished training on class-balanced samples."""

from __future__ import annotations

from typing import Any

from ltbench import Phase


def balanced_second_stage(until: float, **changes: Any) -> list[Phase]:
    """Return the whole training, and a stage to `until` with class-balanced sampling and a schedule from its start.

    The sampling replaces the cell's sampler and weights; mix and auxiliary are off. changes: more of the second stage.
    """
    second = Phase(until=until, sampler="cb_sampler", weight=False, mix=False, auxiliary=False, restart=True, **changes)
    return [Phase(until=1.0), second]
