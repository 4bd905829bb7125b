"""The overhead of the harness: the share of a run that is neither training nor prediction, a ratio within the run.

`derive_ms_per_cell` is absolute and compares only with runs on the same machine.
"""

from __future__ import annotations

from pathlib import Path

from support import make_executor

from ltbench.core.folders import data_root
from ltbench.executor import Context
from ltbench.planning.parts import make_plan
from ltbench.registry.registry import Registry
from ltbench.running.runner import run
from ltbench.store.store import Store
from ltbench.suite.suite import changed, find_suite


def test_the_harness_in_a_run_of_the_quick_suite(benchmark, registry: Registry, tmp_path: Path) -> None:
    """One seed at one factor: 16 cells from 8 trainings, in this process, without its start-up."""
    suite = changed(find_suite("quick", registry), imbalance_factors=[100], seeds=[0])
    context = Context(store=Store(tmp_path), registry=registry, data_root=data_root())

    def run_suite() -> None:
        plan = make_plan(suite, registry, data_root())
        with make_executor("inline", context) as executor:
            run(plan, context, executor)

    benchmark.pedantic(run_suite, rounds=1)
    plan = make_plan(suite, registry, data_root())
    records = [record for cell in plan.cells if (record := context.store.record(cell.key))]
    fits = {fit: record["cost"]["train_seconds"] for record in records for fit in record["spec"]["members"]}
    predicts = sum(context.store.meta(job.key)["cost"]["predict_seconds"] for job in plan.of_kind("predict"))
    elapsed = benchmark.stats.stats.total
    assert (len(records), len(fits)) == (16, 8)
    benchmark.extra_info["overhead_share"] = round(1 - (sum(fits.values()) + predicts) / elapsed, 4)
    benchmark.extra_info["derive_ms_per_cell"] = round(
        1000 * sum(record["cost"]["derive_seconds"] for record in records) / len(records), 2
    )
