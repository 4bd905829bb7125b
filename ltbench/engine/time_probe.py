"""A probe: a few steps of a training, to know how long all of them will take. It leaves nothing behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import torch

from ltbench.core.spec import Job, Spec
from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.fit import training_subset
from ltbench.engine.output_checks import naming_techniques
from ltbench.engine.training import Training

if TYPE_CHECKING:
    from ltbench.executor import Context

_MOST = 64
"""Steps that are enough for any training. Tries double their steps up to here, and the last one counts: the first one
warms up, as it finds its memory and chooses its kernels."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found."""

    seconds: float
    """Of the whole job: all its steps, and what comes before the first one."""
    steps: int
    """That were measured."""
    macs: float


def probe(job: Job, context: Context, seconds: float) -> Pace:
    """Train a few steps of the last segment of a fit, in about so many seconds; return what the job will take.

    However long a step takes, three are made, and data may have to be loaded first.

    Raises what a fit raises. The store is not touched, and every random stream is the probe's own.
    """
    device, spec = torch.device(context.device), job.spec
    subset = training_subset(spec, context)
    with naming_techniques(), reproducible(device), seeded(spec["seed"], "dropout", device):
        whole = Training(spec, subset, context.registry, device)
        began, steps = time.perf_counter(), 1
        while True:
            before = time.perf_counter()
            some = Training(_cut(spec, steps), subset, context.registry, device)
            setup = time.perf_counter() - before
            some.run()
            pace, warm = some.seconds / some.steps, steps > 1
            steps *= 2
            if warm and (steps > _MOST or time.perf_counter() - began + setup + steps * pace > seconds):
                break
    return Pace(seconds=setup + pace * len(whole.spans[-1]), steps=some.steps, macs=float(whole.macs))


def _cut(spec: Spec, steps: int) -> Spec:
    """Return a training of so many steps like those of the last segment."""
    recipe = {name: value for name, value in spec["recipe"].items() if name != "epochs"} | {"steps": steps}
    return spec | {"recipe": recipe, "segments": [spec["segments"][-1] | {"until": 1.0}]}
