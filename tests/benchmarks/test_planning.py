"""Planning 100,000 cells."""

from __future__ import annotations

from pathlib import Path

from ltbench.plan import make_plan
from ltbench.registry import Registry
from ltbench.suite import changed, find_suite


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
