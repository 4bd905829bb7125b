"""Fits a posthoc to its evidence, and adjusts logits with it, for each branch of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ltbench.jobs.plugin_calls import adjust_checked, call_plugin
from ltbench.jobs.prediction_file import StoredPrediction
from ltbench.stages import Evidence, Posthoc, Predicted

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray, IntArray


def adjusted_logits(
    registry: Techniques,
    posthoc: Posthoc | None,
    stored: Mapping[str, StoredPrediction],
    counts: IntArray,
    splits: Sequence[str],
) -> dict[str, list[FloatArray]]:
    """Return the adjusted logits of each branch, float64 [N, C], by split.

    stored: the predictions of a network under one view, by split; counts: int64 [C] of its training images;
    splits: those to adjust. Raises `JobFailed`, naming the posthoc.
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
                    split: _predicted(stored[split], branch, labelled=True)
                    for split in ("held_out", "train")
                    if split in used
                },
            )
            state = call_plugin(registry, posthoc, partial(posthoc.fit, evidence))
        for split in splits:
            predicted = _predicted(stored[split], branch, labelled=False)
            adjusted[split].append(adjust_checked(registry, posthoc, state, predicted, counts, classifier))
    return adjusted


def _predicted(stored: StoredPrediction, branch: int, *, labelled: bool) -> Predicted:
    return Predicted(
        logits=stored.logits[branch],
        features=None if stored.features is None else stored.features[branch],
        labels=stored.labels.copy() if labelled else None,
    )
