"""Notes on recipes and data: what a suite says twice, and pixels that are lost before a model enlarges what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ltbench.executor import Techniques
from ltbench.jobs.named_technique import leaving_no_state
from ltbench.planning.settings import Setting
from ltbench.stages import Dataset, Model
from ltbench.suite.recipe import Recipe
from ltbench.suite.recipe_notes import recipe_notes


def setting_notes(recipes: Sequence[Recipe], known: Sequence[Setting], registry: Techniques, root: Path) -> list[str]:
    """Return the notes on the settings of a suite."""
    images = [sum(setting.counts) for setting in known]
    of_recipes = [note for recipe in recipes for note in recipe_notes(recipe, images)]
    return list(dict.fromkeys([*of_recipes, *_usual_augments(recipes, known), *_lost_pixels(known, registry, root)]))


def _usual_augments(recipes: Sequence[Recipe], known: Sequence[Setting]) -> Iterator[str]:
    """Yield a note for each augmentation of a recipe that is that of a data set anyway."""
    for recipe in recipes:
        for setting in known:
            if recipe.augment and recipe.augment == setting.augment:
                yield (
                    f"augment = {recipe.augment} is the default of {setting.labels['dataset']} anyway; without it, trainings "
                    "are shared with other suites"
                )


def _lost_pixels(known: Sequence[Setting], registry: Techniques, root: Path) -> Iterator[str]:
    """Yield a note for each data set whose files are reduced to fewer pixels than a model resizes them to."""
    pairs = {(one.labels["dataset"], one.labels["model"]): one for one in known}
    for (name, label), setting in pairs.items():
        info = setting.info
        # Only what is read from files has a report, and asking a model may import timm.
        if info.report is None:
            continue
        model = registry.build_as(setting.model, Model)
        with leaving_no_state(registry, model, "in_timm"):
            made = model.in_timm(info.channels, info.size, len(info.classes))
        if made is None or made.resize <= info.size:
            continue
        dataset = registry.build_as(setting.data["dataset"], Dataset)
        with leaving_no_state(registry, dataset, "census"):
            census = dataset.census(root)
        if census is None or not census.reduced:
            continue
        fix = f"; size={made.resize} of the data set keeps them" if "size" in dataset.__struct_fields__ else ""
        yield (
            f"{name}: {census.reduced:,} of {sum(census.counts):,} images are reduced to {info.size} x {info.size} pixels, "
            f"which {label} enlarges to {made.resize} x {made.resize}: details are lost{fix}"
        )
