"""The suites of the literature: every technique is in them, every row runs, and they take minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.planning.combinations import suite_screen
from ltbench.planning.parts import make_plan
from ltbench.planning.screen_quality import quality_of
from ltbench.registry.registry import Registry
from ltbench.stages import TECHNIQUE_STAGES
from ltbench.suite.suite import changed, find_suite

SUITES = ("literature-quick", "screen")
SCREENS = ("screen", "screen-cifar10")
OF_A_RECIPE = {"alternating_flip"}
"""Techniques that are the default of a recipe: no paper on long tails proposes them."""
OF_PHOTOS = {"random_resized_crop"}
"""The usual augmentation of photos; the images of the suites have 28 or 32 pixels."""
OF_A_TASK = {"min_cost"}
"""Techniques with a parameter that only a task knows; with its default, this one is `prior_shift`."""
WITHOUT_PRETRAINED_WEIGHTS = "finetune"
"""The stage whose techniques change pretrained backbones, which the suites do not have."""


@pytest.mark.parametrize("name", sorted({*SUITES, *SCREENS}))
def test_every_technique_is_in_the_suite(name: str, registry: Registry) -> None:
    suite = find_suite(name, registry)
    named = {technique.name for text in suite.techniques for technique in registry.parse_all(text)}
    ours = (
        {
            technique
            for stage in TECHNIQUE_STAGES
            if stage != WITHOUT_PRETRAINED_WEIGHTS
            for technique, kind in registry.of(stage).items()
            if not kind.baseline and registry.entries[technique].distribution == "ltbench"
        }
        - OF_A_RECIPE
        - OF_PHOTOS
        - OF_A_TASK
    )
    assert named == ours


def test_every_method_has_a_row(registry: Registry) -> None:
    rows = find_suite("literature-quick", registry).combinations
    sets = [{t.label for text in row for t in registry.parse_all(text)} for row in rows]
    for name in registry.methods:
        parts = {technique.label for technique in registry.parse_all(name)}
        assert any(parts <= row for row in sets), name


@pytest.mark.parametrize("name", SUITES)
def test_every_row_runs_at_a_few_times_the_cost_of_quick(name: str, registry: Registry, tmp_path: Path) -> None:
    suite = changed(find_suite(name, registry), seeds=[0])
    plan = make_plan(suite, registry, tmp_path)
    assert not plan.left_out
    if suite.combinations:
        assert len(plan.cells) == 1 + len(suite.combinations)
    quick = make_plan(find_suite("quick", registry), registry, tmp_path)
    # Quick takes about two minutes on two cores.
    seeds = len(find_suite(name, registry).seeds)
    assert seeds * plan.passes_shared < 10 * quick.passes_shared


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_estimates_every_technique_and_every_declared_pair(name: str, registry: Registry) -> None:
    suite = find_suite(name, registry)
    design = suite_screen(suite, registry)
    assert design is not None
    quality = quality_of(design)
    assert quality.not_estimable == []
    assert {one.techniques for one in quality.estimates if len(one.techniques) == 2} == set(suite.screen_pairs)
