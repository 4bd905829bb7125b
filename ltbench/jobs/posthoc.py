"""Fits a posthoc to its evidence, and adjusts logits with it, for each branch of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

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
    states = fitted_states(registry, posthoc, stored, counts, classes)
    return {split: adjusted_branches(registry, posthoc, states, stored[split], counts, classes) for split in splits}


def fitted_states(
    registry: Techniques, posthoc: Posthoc | None, stored: Mapping[str, StoredPrediction], counts: IntArray,
    classes: tuple[str, ...] = (),
) -> list[Any]:  # fmt: skip
    """Return what a posthoc is fitted to for each branch of a network under one view; None for each that needs no evidence.

    stored: the evidence by split, and other predictions of the network. Raises `JobFailed`, naming the posthoc.
    """
    classifiers = next(iter(stored.values())).classifiers
    if posthoc is None or not (used := posthoc.uses()):
        return [None] * len(classifiers)
    states = []
    for branch, classifier in enumerate(classifiers):
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
        states.append(call_plugin(registry, posthoc, partial(posthoc.fit, evidence)))
    return states


def adjusted_branches(
    registry: Techniques, posthoc: Posthoc | None, states: Sequence[Any], stored: StoredPrediction, counts: IntArray,
    classes: tuple[str, ...] = (),
) -> list[FloatArray]:  # fmt: skip
    """Return the adjusted logits of each branch, float64 [N, C]. states: of `fitted_states`. Raises `JobFailed`."""
    if posthoc is None:
        return list(stored.logits)
    return [
        adjust_checked(
            registry, posthoc, state, _predicted(stored, branch, classes, labelled=False), counts, classifier
        )
        for branch, (state, classifier) in enumerate(zip(states, stored.classifiers, strict=True))
    ]


def weighs_branches(posthoc: Posthoc | None) -> bool:
    """Return whether a posthoc computes weights of branches, which it does from the logits of all images."""
    return posthoc is not None and type(posthoc).branch_weights is not Posthoc.branch_weights


def branch_weights(registry: Techniques, posthoc: Posthoc | None, logits: FloatArray) -> FloatArray | None:
    """Return the weights of the branches that a posthoc computes from adjusted logits [V, E, N, C], float64 [E]; or None."""
    if posthoc is None or not weighs_branches(posthoc):
        return None
    return weights_checked(registry, posthoc, partial(posthoc.branch_weights, logits), logits.shape[1])


def merged_branches(
    registry: Techniques, spec: Spec | None, weights: FloatArray | None, logits: FloatArray
) -> FloatArray:
    """Return the logits of a network under each view, float64 [V, N, C], from those of its branches, [V, E, N, C].

    spec: of the branches, if there are any; weights: of the branches, in place of their own rule. Raises `JobFailed`.
    """
    if spec is None:
        return logits[:, 0]
    if weights is not None:
        merged: FloatArray = np.einsum("e,venc->vnc", weights, logits)
        return merged
    branches = registry.build_as(spec, Branches)
    return np.stack([merge_logits_checked(registry, branches, branches.merge, view) for view in logits])


def _predicted(stored: StoredPrediction, branch: int, classes: tuple[str, ...], *, labelled: bool) -> Predicted:
    return Predicted(
        logits=stored.logits[branch],
        features=None if stored.features is None else stored.features[branch],
        labels=stored.labels.copy() if labelled else None,
        classes=classes,
    )
