from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import registry_with

from ltbench.cli.asked_suite import every_technique
from ltbench.planning.combinations import (
    Combination,
    combine,
    reason_left_out,
    suite_combinations,
    suite_space,
)
from ltbench.planning.grid import combination_count, grid_of
from ltbench.planning.parts import make_plan, plan_parts
from ltbench.planning.planner import Planner
from ltbench.planning.space import Space
from ltbench.planning.space_size import size_of_large
from ltbench.registry.registry import Registry
from ltbench.stages import TECHNIQUE_STAGES, Loss, Phase, Regime
from ltbench.suite.suite import changed, find_suite
from ltbench.technique import Technique


def made(stage: str, name: str, conflicts: list[str], needs: list[str]) -> Technique:
    relations = {"conflicts": dict.fromkeys(conflicts, "why"), "needs": dict.fromkeys(needs, "why")}
    kind = type(name, (Technique,), {"__module__": __name__, "name": name, "stage": stage, **relations})
    technique = kind()
    assert isinstance(technique, Technique)
    return technique


@st.composite
def grids(draw: st.DrawFn) -> dict[str, list[Technique]]:
    """Up to five stages with up to three techniques each, which conflict with and need names and stages, also their own."""
    stages = TECHNIQUE_STAGES[: draw(st.integers(1, 5))]
    names = [(stage, f"{stage}_{n}") for stage in stages for n in range(draw(st.integers(1, 3)))]
    words = st.sampled_from([*stages, *(name for _, name in names), "not_there"])
    grid: dict[str, list[Technique]] = {stage: [] for stage in stages}
    for stage, name in names:
        conflicts = draw(st.lists(words, max_size=2))
        grid[stage].append(made(stage, name, conflicts, draw(st.lists(words, max_size=1))))
    return grid


@settings(deadline=None)
@given(grids(), st.integers(0, 5))
def test_counts_and_walk_are_those_of_trying_every_combination(grid: dict[str, list[Technique]], most: int) -> None:
    tried = [c for c in every_choice(grid) if len(c.techniques) <= most]
    runs = [c for c in tried if not reason_left_out(c)]
    space = Space(grid, most)
    assert trim(space.possible()) == by_size(tried)
    assert trim(space.counts()) == by_size(runs)
    without_conflicts = [c for c in tried if "cannot be combined" not in every_reason(c)]
    assert trim(space.counts(needs=False)) == by_size(without_conflicts)
    assert sorted(space.walk(), key=repr) == sorted((c.techniques for c in runs), key=repr)


@settings(deadline=None)
@given(grids())
def test_the_walk_has_the_order_of_the_list(grid: dict[str, list[Technique]]) -> None:
    techniques = [technique for row in grid.values() for technique in row]
    listed = [c.techniques for c in combine(techniques) if isinstance(c, Combination)]
    assert list(Space(grid).walk()) == listed


@settings(deadline=None)
@given(grids(), st.data())
def test_sums_multiply_the_weights_of_each_combination(grid: dict[str, list[Technique]], data: st.DataObject) -> None:
    space = Space(grid)
    weights = [data.draw(st.integers(0, 9)) for _ in space.techniques]
    weight = dict(zip(space.techniques, weights, strict=True))
    sums: Counter[int] = Counter()
    for combination in every_choice(grid):
        if not reason_left_out(combination):
            product = 1
            for technique in combination.techniques:
                product *= weight[technique]
            sums[len(combination.techniques)] += product
    assert space.sums(weights) == [sums[size] for size in range(len(grid) + 1)]


def every_choice(grid: dict[str, list[Technique]]) -> list[Combination]:
    rows = itertools.product(*([None, *row] for row in grid.values()))
    return [Combination(tuple(one for one in row if one is not None)) for row in rows]


def every_reason(combination: Combination) -> str:
    """Return the reasons of a combination if no technique needed anything."""
    kept = [made(t.stage, t.name, list(t.conflicts), []) for t in combination.techniques]
    return reason_left_out(Combination(tuple(kept)))


def by_size(combinations: list[Combination]) -> list[int]:
    counts = Counter(len(combination.techniques) for combination in combinations)
    return trim([counts[size] for size in range(max(counts, default=0) + 1)])


def trim(counts: list[int]) -> list[int]:
    while counts and not counts[-1]:
        counts.pop()
    return counts


def test_a_forbidden_region_is_not_walked() -> None:
    # Every technique of ten stages needs one of each of the last two stages, which have no pair: seven to the power of ten
    # combinations that only the last pick rules out.
    stages = [f"stage_{n:02}" for n in range(10)]
    grid = {stage: [made(stage, f"{stage}_{n}", [], ["y", "z"]) for n in range(6)] for stage in stages}
    grid |= {"y": [made("y", "y_0", [], []), made("y", "y_1", ["z"], [])], "z": [made("z", "z_0", ["y_0"], [])]}
    space = Space(grid)
    assert [[technique.name for technique in picked] for picked in space.walk()] == [[], ["y_0"], ["y_1"], ["z_0"]]
    assert sum(space.counts()) == 4


def test_a_grid_is_walked_without_what_is_left_out(registry: Registry) -> None:
    suite = changed(find_suite("quick", registry), techniques=["drw", "ens", "mixup"])
    grid = suite_space(suite, registry)
    assert grid is not None
    walked = list(suite_combinations(suite, registry, grid.walk()))
    assert walked == [c for c in suite_combinations(suite, registry) if isinstance(c, Combination)]
    assert combination_count(suite, registry, Path()) == len(walked) == 6
    (part,) = plan_parts(suite, registry, Path(), left_out=False)
    assert not part.left_out
    assert part.combinations == 6
    assert len(make_plan(suite, registry, Path()).left_out) == 2


@pytest.mark.parametrize("change", [{"strategy": "cumulative"}, {"combinations": [["mixup"], ["mixup", "ens"]]}])
def test_stacks_and_lists_have_no_space_but_are_counted(registry: Registry, change: dict[str, object]) -> None:
    suite = changed(find_suite("quick", registry), techniques=["mixup", "ens"], **change)
    assert suite_space(suite, registry) is None
    assert size_of_large(suite, registry, Path()) is None
    assert combination_count(suite, registry, Path()) == 3


def test_a_grid_that_can_be_planned_has_no_size(registry: Registry) -> None:
    assert size_of_large(find_suite("quick", registry), registry, Path()) is None


def test_the_size_of_all_techniques_is_that_of_planning_them_one_by_one(registry: Registry) -> None:
    everything = changed(find_suite("quick", registry), techniques=every_technique(registry))
    size = size_of_large(everything, registry, Path())
    assert size is not None
    planner = Planner(everything, registry, Path())
    two = changed(everything, max_techniques=2)
    counts: Counter[int] = Counter()
    costs: Counter[int] = Counter()
    for one in suite_combinations(two, registry):
        if isinstance(one, Combination):
            counts[len(one.techniques)] += not planner.why_not(one, "convnet")
            costs[len(one.techniques)] += planner.passes_unshared(one)
    for order in size.orders[:3]:
        assert order.combinations == counts[order.techniques]
        assert order.cells == counts[order.techniques] * 9
        # Not exactly, as two techniques need not cost what their factors multiply to.
        assert order.passes == pytest.approx(costs[order.techniques], rel=0.01)
    assert size.orders[1].passes == pytest.approx(costs[1], rel=1e-6)
    assert any(reason.startswith("drw needs a technique of stage weight") for reason in size.reasons)
    assert size.combinations + size.left_out == sum(order.possible for order in size.orders)


class Off(Regime, frozen=True):
    """Train without class weights."""

    name = "off"

    def phases(self) -> list[Phase]:
        return [Phase(until=1.0, weight=False)]


def test_pairs_that_no_training_can_have_are_neither_counted_nor_walked() -> None:
    own = registry_with(Off)
    suite = changed(find_suite("quick", own), techniques=["off", "ens", "mixup"], imbalance_factors=[100], seeds=[0])
    grid = grid_of(suite, own, Planner(suite, own, Path()))
    assert grid is not None
    assert {tuple(technique.name for technique in pair) for pair in grid.excluded} == {("ens", "off")}
    assert grid.counts() == [1, 3, 2, 0]
    assert combination_count(suite, own, Path()) == 6
    (part,) = plan_parts(suite, own, Path(), left_out=False)
    assert (part.combinations, part.left_out) == (6, [])
    # Without the grid, the planner says it of each combination.
    plan = make_plan(suite, own, Path())
    assert (plan.combinations, len(plan.left_out)) == (6, 2)


class OnlyConvnet(Loss, frozen=True):
    """Cross entropy for one model."""

    name = "only_convnet"

    def unsuited_to(self, model: Technique) -> str:
        return "" if model.name == "convnet" else "it is made for convnet"


def test_what_does_not_suit_a_model_has_no_cells_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltbench.planning.space_size.PLANNED", 0)
    own = registry_with(OnlyConvnet)
    fields = {"techniques": ["only_convnet", "mixup"], "imbalance_factors": [100], "seeds": [0, 1]}
    suite = changed(find_suite("quick", own), models=["convnet", "resnet20"], **fields)
    size = size_of_large(suite, own, Path())
    assert size is not None
    assert [order.combinations for order in size.orders] == [1, 2, 1]
    assert [order.cells for order in size.orders] == [4, 4 + 2, 2]
    assert len(make_plan(suite, own, Path()).cells) == size.cells
    alone = size_of_large(changed(suite, models=["resnet20"]), own, Path())
    assert alone is not None
    assert [order.combinations for order in alone.orders] == [1, 1]
