"""A note on samplers whose batches are larger than the recipe's, as each of their steps sees more images."""

from __future__ import annotations

from ltbench.core.spec import Spec
from ltbench.planning.settings import Setting
from ltbench.stages import Sampler
from ltbench.suite.recipe import Recipe


def larger_batches(sampler: Sampler, recipe: Spec, setting: Setting) -> list[str]:
    """Return the note on a sampler in a setting, if any. recipe: its spec, which leaves out defaults."""
    usual = recipe.get("batch_size", Recipe(steps=1).batch_size)
    try:
        own: object = sampler.batch_size(usual, len(setting.counts))
    except Exception:  # noqa: BLE001 - it fails the trainings that use it, which name the technique
        return []
    if not isinstance(own, int) or own <= usual:
        return []
    return [
        f"{sampler.label}: batches of {own} images in place of {usual}, so each step sees {own / usual:.3g} times as many"
    ]
