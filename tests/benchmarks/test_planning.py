"""Planning 100,000 cells, and the grid of a large benchmark in parts.

Times are absolute and compare only with runs on the same machine. `ratio` is that of passes without and with sharing,
which, like the counts, is the same on every machine; `peak_mib` nearly so.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from support import python

from ltbench.planning.parts import make_plan
from ltbench.planning.space import Space
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite
from ltbench.technique import Technique

GRID = """
import json, sys, time
from pathlib import Path

from ltbench.planning.parts import plan_parts
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite

registry = Registry.load()
suite = changed(
    find_suite("quick", registry),
    techniques=[
        "cb_sampler", "reweighted_sampler", "artificial_balance",  # 4 samplers
        "label_smooth", "focal", "ens", "ins",  # 3 losses x 3 weights
        "mixup", "cutmix", "tail_cutmix",  # 4 mixes
        "drw", "decoupling", "decoupling[still=true]",  # 4 regimes
        "tta", "logit_adjust_posthoc",  # 4 ways to infer
        "stacking", "stacking[size=2]", "bagging[threshold=300]",  # 4 ensembles
    ],
    imbalance_factors=[10, 20, 50, 100],
    seeds=list(range(int(sys.argv[1]))),
)
began = time.process_time()
cells = trainings = naive = left_out = 0
passes = passes_naive = first = 0.0
for plan in plan_parts(suite, registry, Path()):
    first = first or time.process_time() - began
    cells += len(plan.cells)
    trainings += sum(key not in plan.repeated for key, job in plan.jobs.items() if job.kind == "fit")
    naive += plan.trainings_naive
    passes += plan.passes_shared
    passes_naive += plan.passes_naive
    left_out += len(plan.left_out)
# Not getrusage: a child's maximum starts at the size of the process that started it.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "cells": cells, "trainings": trainings, "trainings_naive": naive, "ratio": passes_naive / passes,
    "left_out": left_out, "cpu_seconds": time.process_time() - began, "first_part_cpu_seconds": first,
    "peak_mib": peak / 1024, "torch": "torch" in sys.modules,
}))
"""


def planned(seeds: int) -> dict[str, float]:
    """Plan the grid in a fresh process, so that its peak memory is the plan's."""
    return json.loads(python(GRID, seeds).stdout)


def test_planning_100_000_cells(benchmark, registry: Registry) -> None:
    suite = changed(
        find_suite("quick", registry),
        techniques=[
            "cb_sampler",
            "mixup[alpha=0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9]",
            "label_smooth[eps=0.05,0.1,0.15,0.2,0.25,0.3,0.35,0.4,0.45]",
            "tta[merge_by=mean,vote]",
        ],
        imbalance_factors=[2, 5, 10, 20, 50, 100],
        seeds=list(range(28)),
    )
    plan = benchmark.pedantic(make_plan, args=(suite, registry, Path()), rounds=1)
    assert len(plan.cells) == 2 * 10 * 10 * 3 * 6 * 28
    benchmark.extra_info["cells"] = len(plan.cells)


@pytest.mark.parametrize(
    "seeds", [3, pytest.param(30, marks=pytest.mark.slow)], ids="4 x 9 x 4 x 4 x 4 x 4 x 4 x {}".format
)
def test_planning_a_large_grid_in_parts(benchmark, seeds: int) -> None:
    measured = benchmark.pedantic(planned, args=(seeds,), rounds=1)
    # The full grid has 36,864 cells per seed; drw needs a weight, and identical combinations are skipped.
    assert 30_000 * seeds < measured["cells"] < 36_864 * seeds
    assert measured["ratio"] > 4
    assert measured["peak_mib"] < 1024
    assert not measured["torch"]
    benchmark.extra_info |= measured


def test_counting_120_techniques_in_18_stages(benchmark) -> None:
    """A second is the budget; relations are random, which is harder than those of real techniques, mostly of few stages."""
    rng = random.Random(0)
    stages = [f"stage_{number}" for number in range(18)]
    names = [(stage, f"{stage}_{number}") for number in range(7) for stage in stages][:120]
    words = [*stages, *(name for _, name in names)]
    relations: dict[str, dict[str, dict[str, str]]] = {name: {"conflicts": {}, "needs": {}} for _, name in names}
    for kind, many in (("conflicts", 60), ("needs", 20)):
        for _ in range(many):
            relations[rng.choice(names)[1]][kind][rng.choice(words)] = "why"
    grid: dict[str, list[Technique]] = {stage: [] for stage in stages}
    for stage, name in names:
        kind = type(name, (Technique,), {"__module__": __name__, "name": name, "stage": stage, **relations[name]})
        grid[stage].append(kind())
    counts = benchmark.pedantic(lambda: Space(grid).counts(), rounds=3)
    assert 1e9 < sum(counts) < sum(Space(grid).possible())
    assert benchmark.stats.stats.min < 1
    benchmark.extra_info["combinations"] = sum(counts)
