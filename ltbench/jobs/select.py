"""Chooses between the states of a training by their predictions of held-out images. Needs no torch.

    weights.safetensors   those of the chosen state
    meta.json             as of a fit, with the score of each state in its curve

The job is given held-out predictions alone, so no test label can reach the choice.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ltbench.confusion import Confusion
from ltbench.core.spec import Job
from ltbench.costs import is_cost, mean_cost
from ltbench.errors import JobFailed
from ltbench.jobs.cell import stored_logits
from ltbench.jobs.metrics import CONFUSION, checked_numbers
from ltbench.jobs.probabilities import Member, predictions
from ltbench.records.tuning_file import best_trial
from ltbench.stages import Branches, Ensemble, Metric, View
from ltbench.store.format import WEIGHTS, write_json

if TYPE_CHECKING:
    from ltbench.executor import Context


def select(job: Job, context: Context) -> None:
    """Store the state with the best score as an artefact like a fit's; the earliest one if several are equal.

    Raises `JobFailed` if no state has a score.
    """
    began = time.perf_counter()
    fits, predicted = job.parents[::2], job.parents[1::2]
    scores = [_score(job, fit, prediction, context) for fit, prediction in zip(fits, predicted, strict=True)]
    best = best_trial(scores, higher_is_better=job.spec["selection"]["best"] == "highest")
    if best is None:
        raise JobFailed(
            f"no epoch can be selected: {job.spec['selection']['number']} is undefined on the held-out images",
            where=f"job {job.key}",
        )
    metas = [context.store.meta(fit) for fit in fits]
    # The whole training was paid for, whichever state is chosen.
    last = metas[-1]
    metric = context.registry.provenance(context.registry.build_as(job.spec["selection"]["metric"], Metric))
    curve = last["curve"] | {
        "held_out": {
            "number": job.spec["selection"]["number"],
            "epoch": [meta["curve"]["epoch"][-1] for meta in metas],
            "score": scores,
            "selected": metas[best]["curve"]["epoch"][-1],
        }
    }
    cost = last["cost"] | {"job_seconds": time.perf_counter() - began}
    plugins = [*last["plugins"], metric]
    meta = last | {"spec": job.spec, "curve": curve, "cost": cost, "plugins": plugins, "chosen": fits[best]}
    with context.store.writing(job.key) as folder:
        shutil.copyfile(context.store.checked(fits[best]) / WEIGHTS, folder / WEIGHTS)
        write_json(folder / "meta.json", meta)


def _score(job: Job, fit: str, prediction: str, context: Context) -> float | None:
    """Return the score of a state on the held-out images; None if it is undefined there."""
    registry = context.registry
    counts = np.asarray(context.store.meta(fit)["data"]["counts"], dtype=np.int64)
    member = Member(counts, {"held_out": [prediction]}, job.spec.get(Branches.stage))
    plain: dict[str, Any] = {"posthoc": None}
    for stage in (View.stage, Ensemble.stage):
        baseline = registry.baseline(stage)
        assert baseline is not None, "there are always one view and one network"
        plain[stage] = registry.spec(baseline)
    labelled = predictions(registry, plain, [member], partial(stored_logits, context), ["held_out"])["held_out"]
    metric = registry.build_as(job.spec["selection"]["metric"], Metric)
    numbers = checked_numbers(registry, metric, labelled.probabilities, labelled.labels, counts)
    number = job.spec["selection"]["number"]
    value = numbers.get(number)
    if is_cost(number):
        confusion = numbers[CONFUSION]
        assert isinstance(confusion, Confusion), "as it was checked"
        value = mean_cost(confusion, context.store.meta(fit)["data"]["classes"], number)
    return float(value) if isinstance(value, (int, float)) else None
