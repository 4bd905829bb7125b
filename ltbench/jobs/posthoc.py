"""Fits a posthoc to its evidence, and adjusts logits with it, for each branch of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ltbench.core.spec import Spec
from ltbench.jobs.plugin_calls import adjust_checked, call_plugin, merge_logits_checked, weights_checked
from ltbench.jobs.prediction_file import StoredPrediction
from ltbench.stages import Branches, Evidence, Posthoc, Predicted

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray, IntArray


def adjusted_logits(
    registry: Techniques,
    posthoc: Posthoc | None,
    stored: Mapping[str, StoredPrediction],
    counts: IntArray,
    splits: Sequence[str],
    classes: tuple[str, ...] = (),
) -> dict[str, list[FloatArray]]:
    """Return the adjusted logits of each branch, float64 [N, C], by split.

    stored: the predictions of a network under one view, by split; counts: int64 [C] of its training images;
    splits: those to adjust; classes: their names. Raises `JobFailed`, naming the posthoc.
    """
    if posthoc is None:
        return {split: list(stored[split].logits) for split in splits}
    used = posthoc.uses()
    adjusted: dict[str, list[FloatArray]] = {split: [] for split in splits}
    for branch, classifier in enumerate(stored[splits[0]].classifiers):
        state = None
        if used:
            # A copy of the labels and counts, because what a plugin modifies is read again by the next one.
            evidence = Evidence(
                counts=counts.copy(),
                classifier=classifier,
                **{
                    split: _predicted(stored[split], branch, classes, labelled=True)
                    for split in ("held_out", "train")
                    if split in used
                },
            )
            state = call_plugin(registry, posthoc, partial(posthoc.fit, evidence))
        for split in splits:
            predicted = _predicted(stored[split], branch, classes, labelled=False)
            adjusted[split].append(adjust_checked(registry, posthoc, state, predicted, counts, classifier))
    return adjusted


def merged_branches(registry: Techniques, spec: Spec | None, posthoc: Posthoc | None, logits: FloatArray) -> FloatArray:
    """Return the logits of a network under each view, float64 [V, N, C], from those of its branches, [V, E, N, C].

    spec: of the branches, if there are any. Raises `JobFailed`, naming branches or posthoc.
    """
    if spec is None:
        return logits[:, 0]
    branches = registry.build_as(spec, Branches)
    weights = None
    if posthoc is not None and type(posthoc).branch_weights is not Posthoc.branch_weights:
        weights = weights_checked(registry, posthoc, partial(posthoc.branch_weights, logits), logits.shape[1])
    if weights is not None:
        merged: FloatArray = np.einsum("e,venc->vnc", weights, logits)
        return merged
    return np.stack([merge_logits_checked(registry, branches, branches.merge, view) for view in logits])


def _predicted(stored: StoredPrediction, branch: int, classes: tuple[str, ...], *, labelled: bool) -> Predicted:
    return Predicted(
        logits=stored.logits[branch],
        features=None if stored.features is None else stored.features[branch],
        labels=stored.labels.copy() if labelled else None,
        classes=classes,
    )
