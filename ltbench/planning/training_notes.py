"""Notes on properties of a training that its row does not show."""

from __future__ import annotations

from itertools import pairwise

from ltbench.core.spec import Spec
from ltbench.planning.trajectory import Segments
from ltbench.stages import Ensemble, Regime, Sampler
from ltbench.suite.recipe import Recipe


def larger_batches(sampler: Sampler, recipe: Spec, classes: int) -> list[str]:
    """Return a note if a sampler has larger batches than the recipe. recipe: without defaults."""
    usual = recipe.get("batch_size", Recipe(steps=1).batch_size)
    try:
        own: object = sampler.batch_size(usual, classes)
    except Exception:  # noqa: BLE001 - the trainings that use it fail and name it
        return []
    if not isinstance(own, int) or own <= usual:
        return []
    times = f"{own / usual:.3g} times as many"
    return [f"{sampler.label}: batches of {own} images instead of {usual}, so each step sees {times}"]


def single_member(ensemble: Ensemble, members: int) -> list[str]:
    """Return a note if an ensemble other than the baseline has only one member for these class counts."""
    if ensemble.baseline or members > 1:
        return []
    return [f"{ensemble.label}: only one member at these class counts"]


def phases_without_steps(regime: Regime, segments: Segments, steps: int) -> list[str]:
    """Return a note if phases of a regime have no step.

    steps: length of the whole training.
    """
    ends = [round(steps * segment["until"]) for segment in segments.specs]
    if all(start < end for start, end in pairwise([0, *ends])):
        return []
    return [f"{regime.label}: a phase has no step in a training of {steps:,} steps, so it has no effect"]
