"""Suites that rebuild a report: what they say of it has to be about what they run."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from ltbench.leaderboard.page.claim_size import published_size
from ltbench.longtail import thirds
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.registry.registry import Registry
from ltbench.stages import Ensemble, Technique
from ltbench.suite.published import Claim, Reported
from ltbench.suite.suite import Suite, changed, find_suite
from ltbench_plugins.profiles.exp import Exp
from ltbench_plugins.weights.ens import Ens

REPORTS = ("wong", "jiang", "schmidt", "park", "rivadeneira")


@cache
def registry_of_all() -> Registry:
    return Registry.load()


def suites() -> list[str]:
    return [name for name in registry_of_all().suites if name.startswith("report-")]


def plan_of(suite: Suite, registry: Registry, folder: Path) -> Plan:
    """Return the plan, with data in place of those that can only be described where they are."""
    if suite.datasets[0].startswith("breast_histopathology"):
        suite = changed(suite, datasets=["cifar10"])
    return make_plan(suite, registry, folder)


def test_every_report_has_a_suite_at_its_own_scale_and_a_fast_one() -> None:
    assert {f"report-{name}{scale}" for name in REPORTS for scale in ("", "-fast")} <= set(suites())


@pytest.mark.parametrize("name", suites())
def test_what_a_report_says_is_about_what_its_suite_runs(name: str, registry: Registry, tmp_path: Path) -> None:
    suite = find_suite(name, registry)
    plan = plan_of(suite, registry, tmp_path)
    assert not plan.left_out
    made = {frozenset(label for label in cell.extra["combination"].values() if label) for cell in plan.cells}
    said: list[Reported | Claim] = [*suite.reported, *suite.claims]
    assert said
    for one in said:
        named = (one.techniques,) if isinstance(one, Reported) else (one.better, one.worse)
        for techniques in named:
            assert techniques == "all" or frozenset(techniques) in made, techniques
        factors = (one.imbalance_factor,) if isinstance(one, Reported) else one.imbalance_factors
        assert factors == "all" or set(factors) <= set(suite.imbalance_factors)
        assert one.model in {None, *suite.models}
    if suite.highlight is not None:
        assert frozenset(suite.highlight) in made
    assert frozenset(suite.reference) in made


@pytest.mark.parametrize("name", suites())
def test_what_is_printed_class_by_class_has_the_printed_mean(name: str, registry: Registry) -> None:
    for one in find_suite(name, registry).reported:
        if one.per_class and one.value is not None:
            assert sum(one.per_class) / len(one.per_class) == pytest.approx(one.value, abs=2e-4), one.source


@pytest.mark.parametrize("name", suites())
def test_scores_of_parts_of_the_classes_are_those_of_the_classes_that_are_printed(
    name: str, registry: Registry
) -> None:
    reported = find_suite(name, registry).reported
    by_class = {(one.techniques, one.imbalance_factor): one.per_class for one in reported if one.per_class}
    for one in reported:
        if one.metric in ("head_third", "tail_third", "sd_classes"):
            values = np.array(by_class[one.techniques, one.imbalance_factor])
            # The profiles of both reports have the most images of the first class and the fewest of the last.
            parts = {
                f"{part}_third": values[members].mean() for part, members in thirds(range(len(values), 0, -1)).items()
            }
            assert one.number == pytest.approx((parts | {"sd_classes": values.std()})[one.metric], abs=6e-5), one.source


METRICS = (
    (r"\b(tail|minority|cancer)", "tail_third"),
    (r"\b(head|majority)", "head_third"),
    (r"\bF1", "macro_f1"),
    (r"between classes|evenly", "sd_classes"),
    ("", "top1"),
)


@pytest.mark.parametrize("name", suites())
def test_a_claim_is_judged_by_the_score_that_it_speaks_of(name: str, registry: Registry) -> None:
    for claim in find_suite(name, registry).claims:
        # Tail CutMix is a technique.
        text = claim.text.replace("Tail CutMix", "", 1)
        assert claim.metric == next(metric for words, metric in METRICS if re.search(words, text, re.IGNORECASE)), text


@pytest.mark.parametrize("name", suites())
def test_a_difference_is_written_only_where_it_is_not_that_of_the_printed_numbers(
    name: str, registry: Registry
) -> None:
    suite = find_suite(name, registry)
    for claim in suite.claims:
        if claim.difference is not None:
            factors = suite.imbalance_factors if claim.imbalance_factors == "all" else claim.imbalance_factors
            bare = msgspec.structs.replace(claim, difference=None)
            derived = published_size(bare, suite.reported, factors, None)
            assert derived is None or (abs(derived - claim.difference) > 6e-4 and "own table" in claim.note), claim.text


def has_bags(technique: Technique) -> bool:
    """Return whether its networks have a part of the images, so that with equal steps they see it more often."""
    return isinstance(technique, Ensemble) and any(member.bag is not None for member in technique.members([600, 60]))


@pytest.mark.parametrize("name", suites())
def test_a_claim_about_parts_of_the_images_needs_epochs(name: str, registry: Registry) -> None:
    for claim in find_suite(name, registry).claims:
        if claim.worse != "all":
            differ = [any(has_bags(registry.parse(one)) for one in side) for side in (claim.better, claim.worse)]
            assert claim.needs_epochs == any(differ), claim.text


AUGMENTATIONS = {"crop_flip": "crop and flip", "flip": "mirrors images"}


@pytest.mark.parametrize("name", suites())
def test_a_suite_names_the_augmentation_of_its_rows_and_a_decay_that_is_not_reached(
    name: str, registry: Registry, tmp_path: Path
) -> None:
    suite = find_suite(name, registry)
    for text in suite.datasets:
        assert AUGMENTATIONS[registry.parse(text, "dataset").augment] in suite.notes
    unreached = [note for note in plan_of(suite, registry, tmp_path).notes if note.startswith("ema = ")]
    assert ("0.9999" in suite.notes and "rises to its value" in suite.notes) == bool(unreached)


def test_the_unscaled_weights_of_report_park_make_the_loss_as_much_smaller_as_its_suites_say(
    registry: Registry,
) -> None:
    for suite in (find_suite(name, registry) for name in ("report-park", "report-park-fast")):
        factors = [1 / unscaled_mean(factor) for factor in suite.imbalance_factors]
        assert "{:.0f}, {:.0f} and {:.0f} times smaller".format(*factors) in suite.notes


def unscaled_mean(factor: float) -> float:
    counts = torch.tensor(Exp().counts([5000] * 10, factor))
    return float(Ens(normalize="none").weights(counts).mean())


@pytest.mark.parametrize(
    ("name", "full"), [("report-schmidt-lite0", "report-schmidt"), ("report-wong-lite", "report-wong")]
)
def test_a_suite_with_networks_that_stand_in_is_otherwise_the_report(name: str, full: str, registry: Registry) -> None:
    ours, theirs = (find_suite(one, registry) for one in (name, full))
    same = {"name": "", "title": "", "notes": "", "seeds": (0,)}
    expected = re.sub(
        r"efficientnet_b(\d)",
        r"efficientnet_lite\1",
        msgspec.json.encode(msgspec.structs.replace(theirs, **same)).decode(),
    )
    assert msgspec.json.encode(msgspec.structs.replace(ours, **same)).decode() == expected
    assert "in for the report's EfficientNet-B" in ours.notes
    assert ("One pair of seeds" in ours.notes) == (len(ours.seeds) == 1)


@pytest.mark.parametrize("name", [name for name in suites() if name.endswith("-fast")])
def test_a_fast_suite_says_what_it_scaled_and_is_otherwise_the_report(name: str, registry: Registry) -> None:
    fast, full = find_suite(name, registry), find_suite(name.removesuffix("-fast"), registry)
    assert "Scaled down" in fast.notes
    assert (fast.recipe.steps is None, full.recipe.epochs is None) == (False, False)
    assert len(fast.seeds) >= 3
    assert [claim.text for claim in fast.claims] == [claim.text for claim in full.claims]
    assert fast.datasets == full.datasets
