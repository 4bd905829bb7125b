from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from synthetic import boards, publish, record

from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.publish import read_facts
from ltbench.leaderboard.statistics.analysis import Analysis, analyse
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts, with_suite
from ltbench.planning.combinations import suite_screen
from ltbench.planning.screen import Screen
from ltbench.records.record import Record
from ltbench.registry.registry import Registry
from ltbench.suite.suite import Suite, changed, find_suite

PAIRS = [["cb_sampler", "mixup"], ["ldam", "tta"]]
FACTS = SuiteFacts(
    name="s", screen_pairs=(("cb_sampler", "mixup"), ("ldam", "tta")), figures=("effects", "interactions")
)
TECHNIQUES = [
    "cb_sampler", "reweighted_sampler", "flip", "mixup", "cutmix", "focal", "ldam", "ens", "ins", "drw", "tta", "stacking",
]  # fmt: skip
ADDS = dict(zip(TECHNIQUES, (0.03, 0.0, 0.02, -0.02, 0.01, -0.03, 0.015, 0.0, 0.005, 0.0, 0.02, 0.04), strict=True))
TOGETHER = 0.05
"""What cb_sampler and mixup add together beyond the sum."""


@pytest.fixture(scope="module")
def suite(registry: Registry) -> Suite:
    fields = {"techniques": TECHNIQUES, "strategy": "screen", "screen_pairs": PAIRS}
    return changed(find_suite("quick", registry), **fields)


@pytest.fixture(scope="module")
def design(suite: Suite, registry: Registry) -> Screen:
    found = suite_screen(suite, registry)
    assert found is not None
    return found


def runs(design: Screen, seeds: int, noise: float = 0.002, draw: int = 0) -> list[Record]:
    rng = np.random.default_rng(draw)
    made = []
    for row in design.rows:
        names = {technique.label for technique in row}
        level = 0.5 + sum(ADDS[name] for name in names) + TOGETHER * ({"cb_sampler", "mixup"} <= names)
        for seed in range(seeds):
            top1 = level + 0.01 * seed + noise * rng.normal()
            made.append(record({t.stage: t.label for t in row}, seed=seed, scores={"top1": top1}))
    return made


def analysed(records: list[Record]) -> Analysis:
    (analysis,) = analyse(group_records(records), FACTS.screen_pairs)
    return analysis


@pytest.mark.parametrize("seeds", [1, 3])
def test_every_technique_and_declared_pair_has_its_effect_with_an_interval(design: Screen, seeds: int) -> None:
    analysis = analysed(runs(design, seeds))
    share = {name: np.mean([name in {t.label for t in row} for row in design.rows]) for name in TECHNIQUES}
    true = dict(ADDS)
    true["cb_sampler"] += TOGETHER * share["mixup"]
    true["mixup"] += TOGETHER * share["cb_sampler"]
    assert {effect.techniques[0] for effect in analysis.effects} == set(TECHNIQUES)
    for effect in analysis.effects:
        assert effect.low is not None
        assert effect.high is not None
        assert effect.low < true[effect.techniques[0]] < effect.high
        assert effect.high - effect.low < 0.012
    pairs = {effect.techniques: effect for effect in analysis.pairs}
    assert set(pairs) == {("cb_sampler", "mixup"), ("ldam", "tta")}
    assert pairs["cb_sampler", "mixup"].mean == pytest.approx(TOGETHER, abs=0.004)
    assert pairs["cb_sampler", "mixup"].separated
    assert not pairs["ldam", "tta"].separated


def test_intervals_hold_together_in_95_percent_of_screens(design: Screen) -> None:
    share = {name: np.mean([name in {t.label for t in row} for row in design.rows]) for name in TECHNIQUES}
    true = {name: ADDS[name] for name in TECHNIQUES}
    true["cb_sampler"] += TOGETHER * share["mixup"]
    true["mixup"] += TOGETHER * share["cb_sampler"]
    hold = [
        all(e.low <= true[e.techniques[0]] <= e.high for e in analysed(runs(design, 1, 0.01, draw)).effects)
        for draw in range(60)
    ]
    assert np.mean(hold) > 0.9


def test_an_interaction_that_is_not_declared_widens_the_intervals(design: Screen) -> None:
    plain = analysed(runs(design, 2))
    made = []
    for one in runs(design, 2):
        names = {label for _, label in one.techniques}
        more = 0.05 * ({"stacking", "tta"} <= names)
        made.append(msgspec.structs.replace(one, metrics=one.metrics | {"top1": one.metrics["top1"] + more}))
    widened = analysed(made)
    for before, after in zip(plain.effects, widened.effects, strict=True):
        assert after.high - after.low > 2 * (before.high - before.low)


def test_the_page_says_how_effects_are_estimated_and_what_is_aliased(design: Screen) -> None:
    records = runs(design, 1)
    text = page(FACTS, records, boards(records))
    assert "estimated by least squares from a screening design: cb_sampler +4." in text
    assert "estimated by least squares from the rows of a screening design" in text
    assert "| cb_sampler × mixup |" in text
    assert "other pairs of techniques are aliased with these effects; the largest shares have" in text
    assert "never varied alone" not in text
    assert "Estimated as above; the intervals of all pairs" in text
    # Nothing of it without the keys of a screen.
    assert "screening" not in page(msgspec.structs.replace(FACTS, screen_pairs=msgspec.UNSET), records, boards(records))


def test_rows_that_are_missing_leave_what_the_others_estimate(design: Screen) -> None:
    few = [one for number, one in enumerate(runs(design, 1)) if number % 4]
    analysis = analysed(few)
    assert len(analysis.effects) + sum(map(len, analysis.together)) == len(TECHNIQUES)
    assert analysis.effects


def test_the_facts_of_a_page_keep_the_pairs_and_other_pages_have_no_key(
    suite: Suite, design: Screen, registry: Registry, tmp_path: Path
) -> None:
    facts = with_suite(SuiteFacts(name="s"), suite, registry)
    assert facts.screen_pairs == FACTS.screen_pairs
    publish(tmp_path / "s", facts, runs(design, 1)[:4])
    assert read_facts(tmp_path / "s").screen_pairs == FACTS.screen_pairs
    assert b"screen" not in msgspec.json.encode(with_suite(facts, find_suite("quick", registry), registry))
