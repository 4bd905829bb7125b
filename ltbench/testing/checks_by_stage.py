"""The checks of each stage."""

from __future__ import annotations

from collections.abc import Mapping

from ltbench.stages import TECHNIQUE_STAGES
from ltbench.testing import (
    checks_auxiliary,
    checks_blocks,
    checks_branches,
    checks_common,
    checks_data,
    checks_device,
    checks_finetune,
    checks_head_and_update,
    checks_images,
    checks_inference,
    checks_learning,
    checks_posthoc,
    checks_process,
    checks_rebuilt,
    checks_regimes,
    checks_resumption,
    checks_samplers,
    checks_tuning,
)
from ltbench.testing.check import Check

COMMON = (*checks_common.CHECKS, *checks_process.CHECKS)
CHECKS: Mapping[str, tuple[Check, ...]] = {
    "dataset": checks_data.DATASET,
    "profile": checks_data.PROFILE,
    "sampler": checks_samplers.SAMPLER,
    "augment": (*checks_images.AUGMENT, *checks_resumption.CALLS, *checks_device.CHECKS),
    "mix": (*checks_images.MIX, *checks_resumption.CALLS, *checks_device.CHECKS),
    "model": (*checks_learning.MODEL, *checks_blocks.MODEL, *checks_rebuilt.MODEL, *checks_device.MODEL),
    "head": (*checks_head_and_update.HEAD, *checks_device.CHECKS),
    "branches": (*checks_branches.BRANCHES, *checks_device.CHECKS),
    "finetune": checks_finetune.FINETUNE,
    "loss": (*checks_learning.LOSS, *checks_resumption.CALLS, *checks_device.CHECKS),
    "weight": (*checks_learning.WEIGHT, *checks_device.CHECKS),
    "auxiliary": (*checks_auxiliary.CHECKS, *checks_device.CHECKS),
    "update": (*checks_head_and_update.UPDATE, *checks_resumption.UPDATE, *checks_device.CHECKS),
    "regime": checks_regimes.REGIME,
    "view": (*checks_inference.VIEW, *checks_device.CHECKS),
    "posthoc": checks_posthoc.POSTHOC,
    "ensemble": checks_inference.ENSEMBLE,
    "metric": checks_inference.METRIC,
}
"""Checks that apply to one stage only."""


def of_stage(stage: str) -> tuple[Check, ...]:
    """Return all checks of a stage, common ones first."""
    with_inputs = () if stage in {"dataset", "regime"} else checks_common.WITH_INPUTS
    tuned = checks_tuning.CHECKS if stage in TECHNIQUE_STAGES else ()
    return (*COMMON, *with_inputs, *tuned, *CHECKS[stage])
