"""Estimates the cost of trainings and predictions in forward passes of one image, before anything has run.

A training step on an image counts as three passes, because the backward pass takes twice the work of the forward pass.
Each view of an auxiliary is another image, except for that of the training without a mix, which passes anyway; so is the
image of a second stream.
A frozen backbone processes each unaugmented image once. The cost of classifiers, samplers and mixes is ignored, and a
pass counts the same for every model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ltbench.core.spec import FEATURE_PARTS, Spec
from ltbench.stages import DatasetInfo

STEP = 3.0
"""Passes of a training step on one image."""


Repeats = Callable[[Mapping[str, Any]], int]
"""Segment -> how often a step passes the batch through the network."""


def training_passes(fit: Spec, images: int, start: float = 0.0, repeats: Repeats = lambda _: 1) -> float:
    """Return the passes of a fit.

    images: size of the training subset; start: share of the training done by an earlier fit; repeats: of the updates. A
    teacher makes a forward pass in each step. With it, or with branches, there are no features to train on instead of
    images. A fit that trains on stored features makes no pass.
    """
    recipe = fit["recipe"]
    # Specs leave out defaults; 128 is the default of `Recipe`.
    whole = recipe["steps"] * recipe.get("batch_size", 128) if "steps" in recipe else recipe["epochs"] * images
    total, before = 0.0, 0.0
    for segment in fit["segments"]:
        share = segment["until"] - max(before, start)
        if share > 0:
            # The engine computes the features of unaugmented images once and trains on those.
            step = STEP * (images_per_image(segment) + ("stream" in fit)) + ("teacher" in fit)
            if "features" in fit:
                continue
            cached = has_fixed_images(segment) and not fit.keys() & {"teacher", "branches"}
            total += images if cached else repeats(segment) * step * whole * share
        before = segment["until"]
    return total


def feature_passes(features: Spec, info: DatasetInfo) -> float:
    """Return the passes of a job that computes features: the images of its part."""
    counts = {"train": info.train_counts, "test": info.test_counts, "valid": info.valid_counts}[features["split"]]
    return float(len(range(features["part"], sum(counts), FEATURE_PARTS)))


def images_per_image(segment: Mapping[str, Any]) -> int:
    """Return how many images pass through the network in a step for each image of the batch."""
    if "auxiliary" not in segment:
        return 1
    return 1 + sum(view is not None or segment["mix"] is not None for view in segment.get("views", (None,)))


def has_fixed_images(segment: Mapping[str, Any]) -> bool:
    """Whether a frozen backbone gets the same images in every epoch of a segment."""
    return (
        segment["trainable"] == "classifier"
        and segment["augment"] is None
        and segment["mix"] is None
        and "views" not in segment
        and segment.get("batch_norm", "") in {"", "frozen"}
    )
