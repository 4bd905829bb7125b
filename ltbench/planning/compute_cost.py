"""What trainings and predictions cost, in forward passes of one image: what a plan can know before anything has run.

A training step on an image counts as three passes: forward, and backward twice the work of forward. A frozen backbone
that is shown still images passes each of them once. What a classifier, a sampler or a mix costs besides is left out,
and so is that one model's pass is dearer than another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltbench.core.spec import Spec
from ltbench.stages import DatasetInfo

STEP = 3.0
"""Passes of a training step on one image."""


def training_passes(fit: Spec, images: int, begun: float = 0.0) -> float:
    """Return the passes of a fit from a point of its training on.

    images: those of the training subset; begun: the share of the training that an earlier fit has done.
    """
    recipe = fit["recipe"]
    whole = recipe["steps"] * recipe.get("batch_size", 128) if "steps" in recipe else recipe["epochs"] * images
    total, before = 0.0, 0.0
    for segment in fit["segments"]:
        share = segment["until"] - max(before, begun)
        if share > 0:
            total += images if has_fixed_images(segment) else STEP * whole * share
        before = segment["until"]
    return total


def has_fixed_images(segment: Mapping[str, Any]) -> bool:
    """Whether a frozen backbone is shown the same images in every epoch of a segment."""
    return segment["trainable"] == "classifier" and segment["augment"] is None and segment["mix"] is None


def prediction_passes(info: DatasetInfo) -> float:
    """Return the passes of predicting the test images of a data set under one view."""
    return float(sum(info.test_counts))
