"""Trainings that a test runs itself, without a fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ltbench.core.spec import Job
from ltbench.engine.determinism import reproducible
from ltbench.engine.fit import training_subset
from ltbench.engine.schedule import Span
from ltbench.engine.training import Training
from ltbench.executor import Context

CPU = torch.device("cpu")


def training_of(job: Job, context: Context) -> Training:
    """Return the training of a fit before its first step."""
    return Training(job.spec, training_subset(job.spec, context), context.registry, CPU)


def run_until(training: Training, step: int) -> None:
    """Run a training of one segment up to a step. It goes to the end of its span, so moving the end makes it stop there."""
    (span,) = training.spans
    training.spans = [Span(first=span.first, last=step, total=span.total)]
    training.run()


@contextlib.contextmanager
def as_in_a_fit() -> Iterator[None]:
    """Compute the same bits each time, as a fit does, from one state of torch's randomness."""
    with torch.random.fork_rng(devices=[]), reproducible(CPU):
        torch.manual_seed(0)
        yield
