from __future__ import annotations

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from planning.test_space import Off, grids, made
from support import registry_with, suite_source

from ltbench.cli.asked_suite import asked_suite, every_technique
from ltbench.core.effect_model import EffectModel
from ltbench.errors import LtbenchError, SuiteError, UsageError
from ltbench.planning.combinations import combine, suite_combinations, suite_screen
from ltbench.planning.grid import combination_count, screen_of
from ltbench.planning.parts import make_plan
from ltbench.planning.planner import Planner
from ltbench.planning.screen import Screen, screen, target_shares
from ltbench.planning.screen_quality import quality_of
from ltbench.planning.space import Space
from ltbench.registry.registry import Registry
from ltbench.suite.suite import Suite, changed, find_suite
from ltbench.technique import Technique


def grid(*sizes: int) -> tuple[Technique, ...]:
    """Return this many techniques of each stage."""
    return tuple(made(f"stage_{s}", f"t_{s}_{n}", [], []) for s, size in enumerate(sizes) for n in range(size))


def labels(design: Screen) -> list[list[str]]:
    return [[technique.name for technique in row] for row in design.rows]


def test_the_design_is_the_same_everywhere() -> None:
    techniques = grid(3, 1, 4, 2, 1, 5)
    design = screen(techniques, ((techniques[0], techniques[4]),), None, None)
    text = "\n".join("+".join(row) for row in labels(design))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "987dba667ad8c122"


@settings(max_examples=60, deadline=None)
@given(grids())
def test_rows_run_and_estimate_what_any_rows_would(found: dict[str, list[Technique]]) -> None:
    techniques = tuple(technique for row in found.values() for technique in row)
    space = Space(found)
    every = list(space.walk())
    design = screen(techniques, (), None, len(techniques) + 1)
    assert design.rows[0] == ()
    assert len(set(design.rows)) == len(design.rows)
    assert set(design.rows) <= set(every)
    whole = EffectModel(every, techniques).unknown
    assert EffectModel(design.rows, techniques).unknown == whole


NEEDS = {
    # f2 needs a2, which needs s0, which needs m0: a single combination has all of them.
    "chain": {"s0": ["m"], "a0": [], "a1": [], "a2": ["s"], "m0": [], "f0": [], "f1": [], "f2": ["a2"]},
    # What m1 needs does not run without a technique of its own stage, so its effect is what it adds in place of m0.
    "circle": {"s0": ["m"], "a0": [], "a1": [], "a2": ["s"], "m0": ["f1"], "m1": ["a2"], "f0": [], "f1": []},
}


@pytest.mark.parametrize("needs", NEEDS)
def test_a_technique_at_the_end_of_many_needs_is_estimated(needs: str) -> None:
    techniques = tuple(made(name[0], name, [], of) for name, of in NEEDS[needs].items())
    assert quality_of(screen(techniques, (), None, len(techniques) + 1)).not_estimable == []


def test_a_limit_holds_and_every_effect_is_estimated() -> None:
    techniques = grid(2, 3, 2, 4, 1, 2)
    pairs = ((techniques[0], techniques[3]), (techniques[2], techniques[8]))
    design = screen(techniques, pairs, 3, None)
    assert max(map(len, design.rows)) == 3
    quality = quality_of(design)
    assert quality.not_estimable == []
    assert {one.techniques for one in quality.estimates if len(one.techniques) == 2} == {("t_0_0", "t_1_1"), ("t_1_0", "t_3_1")}  # fmt: skip


def test_fewer_combinations_than_rows_are_all_run() -> None:
    assert len(screen(grid(1, 1), (), None, 100).rows) == 4


def test_no_single_change_brings_the_information_matrix_nearer_to_the_ideal_one() -> None:
    # The criterion worked out by its definition, without the sums that the search keeps.
    techniques = grid(2, 1, 3, 1)
    pairs = ((techniques[0], techniques[2]),)
    space = Space(
        {stage: [t for t in techniques if t.stage == stage] for stage in dict.fromkeys(t.stage for t in techniques)}
    )
    shares = target_shares(space, pairs)
    codes = []
    for of_levels in shares:
        # Columns with mean 0 and variance 1 under the ideal shares, none correlated with another.
        p = np.array(of_levels)
        basis = np.linalg.svd(np.diag(np.sqrt(p)) - np.outer(np.sqrt(p), p))[0][:, : len(p) - 1]
        codes.append(basis / np.sqrt(p)[:, None])
    one, two = shares[0][1], shares[1][1]

    def distance(rows: list[list[int]]) -> float:
        columns = [np.ones((len(rows), 1)), *(code[[row[place] for row in rows]] for place, code in enumerate(codes))]
        product = np.array([((row[0] == 1) - one) * ((row[1] == 1) - two) for row in rows])
        columns.append(product[:, None] / math.sqrt(one * (1 - one) * two * (1 - two)))
        matrix = np.hstack(columns)
        return float(((matrix.T @ matrix / len(rows) - np.eye(matrix.shape[1])) ** 2).sum())

    levels = [[None, *space.of(stage)] for stage in space.stages]
    design = screen(techniques, pairs, None, 18)
    rows = [
        [next((i for i, t in enumerate(alternatives) if t in row), 0) for alternatives in levels] for row in design.rows
    ]
    least = distance(rows)
    for number, place in itertools.product(range(1, len(rows)), range(len(levels))):
        for level in range(len(levels[place])):
            other = [list(row) for row in rows]
            other[number][place] = level
            if other[number] not in rows:
                assert distance(other) > least - 2e-3
    drawn = np.random.default_rng(0)
    random_rows = [[0] * 4, *([int(drawn.choice(len(p), p=p)) for p in shares] for _ in range(17))]
    assert least < 0.5 * distance(random_rows)


def test_120_techniques_in_18_stages_are_estimated_nearly_as_well_as_can_be() -> None:
    sizes = [7] * 12 + [6] * 6
    quality = quality_of(screen(grid(*sizes), (), None, None))
    assert (quality.rows, quality.effects, quality.not_estimable) == (242, 120, [])
    factors = [one.variance_factor for one in quality.estimates]
    assert np.mean(factors) < 1.15
    assert max(factors) < 1.3


def test_the_variance_of_a_whole_factorial_is_the_ideal_one() -> None:
    quality = quality_of(screen(grid(1, 1, 1), (), None, 8))
    assert [one.variance_factor for one in quality.estimates] == pytest.approx([1.0] * 3)
    assert quality.aliased == []


def test_what_conflicts_and_needs_leave_no_rows_for_is_named() -> None:
    first, second = made("a", "a_0", ["b_0"], []), made("b", "b_0", [], ["a_0", "c_0"])
    pair = (made("a", "a_1", [], []), made("c", "c_0", [], []))
    quality = quality_of(screen((first, pair[0], second, pair[1]), ((first, pair[1]), pair), None, 7))
    assert quality.not_estimable == [("b_0",)]
    assert {one.techniques for one in quality.estimates} == {
        ("a_0",),
        ("a_1",),
        ("c_0",),
        ("a_0", "c_0"),
        ("a_1", "c_0"),
    }


def quick(registry: Registry, **changes: object) -> Suite:
    names = ["cb_sampler", "mixup", "tta", "ens", "ins", "drw", "ldam"]
    return changed(find_suite("quick", registry), **{"techniques": names, "strategy": "screen", **changes})


def test_a_suite_is_planned_by_its_design(registry: Registry) -> None:
    suite = quick(registry, screen_pairs=[["mixup", "cb_sampler"]], screen_rows=12)
    design = suite_screen(suite, registry)
    assert design is not None
    assert [[technique.name for technique in pair] for pair in design.pairs] == [["cb_sampler", "mixup"]]
    plan = make_plan(suite, registry, Path())
    assert plan.combinations == combination_count(suite, registry, Path()) == len(design.rows) == 12
    assert [c.techniques for c in suite_combinations(suite, registry)] == design.rows
    assert not any(row and row[-1].name == "drw" and "weight" not in {t.stage for t in row} for row in design.rows)
    assert [c.techniques for c in combine(design.space.techniques, "screen", 2)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"screen_rows": 5}, "a screening design of 7 effects has at least 8 rows, not 5"),
        ({"screen_pairs": [["mixup", "ens"], ["mixup", "focal"]]}, "unknown technique of a screening pair 'focal'"),
        ({"screen_pairs": [["ens", "ins"]]}, "both of stage weight"),
    ],
)
def test_an_invalid_design_is_refused(registry: Registry, changes: dict[str, object], said: str) -> None:
    with pytest.raises(LtbenchError, match=said):
        make_plan(quick(registry, **changes), registry, Path())


def test_keys_of_a_design_without_effect_are_refused(registry: Registry) -> None:
    for changes in ({"screen_rows": 9}, {"screen_pairs": [["ens", "mixup"]]}):
        with pytest.raises(SuiteError, match="no screening design"):
            quick(registry, strategy="all", **changes)


def test_a_command_line_keeps_the_pairs_that_are_still_there(registry: Registry, tmp_path: Path) -> None:
    names = ["cb_sampler", "mixup", "tta", "ens"]
    pairs = [["mixup", "cb_sampler"], ["mixup", "ens"]]
    fields = {"techniques": names, "strategy": "screen", "screen_pairs": pairs, "screen_rows": 20}
    file = tmp_path / "screened.toml"
    file.write_text(suite_source("screened", {"steps": 2}, **fields))
    asked = dict.fromkeys(
        ("plugins", "strategy", "max_techniques", "datasets", "profiles", "models", "imbalance_factors", "seeds"), None
    ) | {"suite_name": str(file), "everything": False, "settings": ()}
    assert asked_suite(registry, **asked).screen_rows == 20
    fewer = asked_suite(registry, **asked | {"plugins": "mixup,cb_sampler,tta"})
    assert (fewer.strategy, fewer.screen_pairs, fewer.screen_rows) == ("screen", (("mixup", "cb_sampler"),), None)
    other = asked_suite(registry, **asked | {"strategy": "each"})
    assert (other.strategy, other.screen_pairs, other.screen_rows) == ("each", (), None)


def test_a_design_has_no_rows_that_cannot_be_planned() -> None:
    own = registry_with(Off)
    suite = quick(own, techniques=["off", "ens", "ins", "mixup", "tta", "cb_sampler", "focal"])
    plan = make_plan(suite, own, Path())
    assert plan.left_out == []
    assert plan.combinations == combination_count(suite, own, Path()) == 16
    design = screen_of(suite, own, Planner(suite, own, Path()))
    assert design is not None
    assert quality_of(design).not_estimable == []


def test_all_registered_techniques_can_be_screened(registry: Registry) -> None:
    suite = quick(registry, techniques=every_technique(registry))
    design = suite_screen(suite, registry)
    assert design is not None
    assert quality_of(design).not_estimable == []
    assert len(design.rows) < 3 * len(design.space.techniques)


def test_few_rows_are_an_error_of_use(registry: Registry) -> None:
    with pytest.raises(UsageError) as refused:
        suite_screen(quick(registry, screen_rows=3), registry)
    assert "screen_rows = 8" in refused.value.fix
