"""What `ltbench plan` says of the tuning of a suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ltbench.cli.data_lines import held_out_lines, rarest_lines
from ltbench.core.units import big_number, duration
from ltbench.core.words import counted

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.suite.suite import Suite


def tuning_facts(suite: Suite, context: Context, workers: int) -> dict[str, Any]:
    """Return what the trials of a suite with `[tune]` are and cost, as far as they are known before they run."""
    from ltbench.planning.settings import data_uses
    from ltbench.running.what_is_missing import plan_status
    from ltbench.suite.suite import changed
    from ltbench.timing.estimate import Prediction
    from ltbench.tuning.tuner import Tuner

    assert suite.tune is not None
    tuner = Tuner(suite, context)
    plan, rows = tuner.first_trials()
    status = plan_status(plan, context, Prediction.of(plan, context), workers=workers)
    cells = len(plan.cells)
    uses = data_uses(changed(suite, held_out=tuner.held_out), context.registry, context.data_root)
    return {
        "trials_of_each_row": suite.tune.trials,
        "rows": rows,
        "at": suite.tune.at,
        "sampler": suite.tune.sampler,
        "held_out": [line for use in uses for line in (*held_out_lines(use), *rarest_lines(use))],
        "rows_hold_out": bool(suite.held_out) and not all(use.own_split for use in uses),
        "cells": cells,
        "cells_done": status.cells_done,
        "missing": status.missing,
        "trainings": status.trainings,
        "trainings_naive": status.trainings_naive,
        "passes": status.passes,
        "predicted_elapsed": status.forecast.elapsed,
        "notes": tuner.notes,
    }


def tuning_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield these facts as lines."""
    where = "and factor" if facts["at"] == "each factor" else "at the largest factor"
    yield (
        f"tuning      {counted(facts['trials_of_each_row'], 'trial')} for each row {where} ({facts['rows']:,} in all); "
        f"{facts['cells_done']:,} of {counted(facts['cells'], 'cell')} done"
    )
    if facts["sampler"] == "tpe":
        yield "            the trials after the first batch depend on its scores and are not counted here"
    for line in facts["held_out"]:
        yield f"            {line}"
    again = "" if facts["predicted_elapsed"] is None else f", about {duration(facts['predicted_elapsed'])}"
    yield (
        f"            {counted(facts['trainings'], 'training')} ({facts['trainings_naive']:,} without sharing), "
        f"{facts['missing']['fit']:,} to do{again}; {big_number(facts['passes'])} forward passes of an image"
    )
    where = "what the suite does not hold out" if facts["rows_hold_out"] else "the whole subset"
    yield f"            then each row with its best values, on {where}, with all seeds"
    for note in facts["notes"]:
        yield f"            {note}"
