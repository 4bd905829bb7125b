"""Which checks a technique of a stage has to pass."""

from __future__ import annotations

from collections.abc import Mapping

from ltbench.testing import common, data, device, feeding, inference, learning, process
from ltbench.testing.finding import Check

COMMON = (*common.CHECKS, *process.CHECKS)
CHECKS: Mapping[str, tuple[Check, ...]] = {
    "dataset": data.DATASET,
    "profile": data.PROFILE,
    "sampler": feeding.SAMPLER,
    "augment": (*feeding.AUGMENT, *device.CHECKS),
    "mix": (*feeding.MIX, *device.CHECKS),
    "model": (*learning.MODEL, *device.MODEL),
    "loss": (*learning.LOSS, *device.CHECKS),
    "weight": (*learning.WEIGHT, *device.CHECKS),
    "regime": learning.REGIME,
    "view": (*inference.VIEW, *device.CHECKS),
    "posthoc": inference.POSTHOC,
    "ensemble": inference.ENSEMBLE,
    "metric": inference.METRIC,
}
"""The checks that only techniques of a stage have to pass."""


def of_stage(stage: str) -> tuple[Check, ...]:
    """Return every check of a stage: what all techniques have to hold, then its own."""
    handed = () if stage in {"dataset", "regime"} else common.HANDED
    return (*COMMON, *handed, *CHECKS[stage])
