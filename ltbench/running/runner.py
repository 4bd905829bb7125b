"""Runs the missing jobs of a plan in order on an executor, until all are done, the budget ends, or a signal arrives."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import msgspec

from ltbench.core.signals import SignalCount, StopNow, catch_signals
from ltbench.core.spec import Job
from ltbench.core.words import counted
from ltbench.errors import Interrupted
from ltbench.executor import Context, Executor, Outcome
from ltbench.executors.perform import finished
from ltbench.jobs.cell import failed_record
from ltbench.planning.jobs_to_run import jobs_to_run
from ltbench.records.from_store import valid_status
from ltbench.running.budget import Budget
from ltbench.running.events import Event, Summary
from ltbench.running.options import DEFAULT_OPTIONS, RunOptions
from ltbench.running.ready_queue import ReadyQueue
from ltbench.running.run_counts import RunCounts
from ltbench.running.run_record import about
from ltbench.store.training_states import Pruning
from ltbench.timing.estimate import Prediction

_log = logging.getLogger(__name__)
_TICK = 0.2
"""Longest wait for outcomes, so that signals and the budget are noticed in time."""
_POLL = 0.5
"""Seconds between checks of jobs that run in other processes."""
_REMAKES = 3
"""How often a job's parents may disappear from the store before the job fails."""


class Jobs(Protocol):
    """The part of a plan that the runner needs."""

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Every job by key, in the order in which they should run."""

    @property
    def passes(self) -> Mapping[str, float]:
        """Cost of a training or prediction in forward passes of an image, by key, where it is known."""


def run(
    plan: Jobs,
    context: Context,
    executor: Executor,
    options: RunOptions = DEFAULT_OPTIONS,
    *,
    prediction: Prediction | None = None,
    keep_states: Collection[str] = (),
    renew: Collection[str] = (),
    on_event: Callable[[Event], None] = lambda _: None,
) -> Summary:
    """Run the missing jobs of a plan. Records and artefacts in the store are reused.

    prediction: known durations of jobs, updated by this run. keep_states: fits whose state a later plan continues from;
    other states are removed once no remaining job needs them. renew: cells with a successful record that lacks metrics,
    which are derived from stored logits, never by training. on_event: called in this thread.

    Raises `Interrupted` after SIGINT or SIGTERM (one: running jobs are finished; two: they are killed), and
    `StoreError` if the store cannot be written.
    """
    pruning = Pruning(plan.jobs, context.store, keep_states)
    walk = _Run(plan, context, executor, options, prediction or Prediction(), pruning, renew, on_event)
    try:
        with catch_signals() as walk.signals:
            return walk.until_done()
    except StopNow:
        executor.stop()
        raise walk.interrupted() from None


class _Run:
    def __init__(
        self, plan: Jobs, context: Context, executor: Executor, options: RunOptions, prediction: Prediction,
        pruning: Pruning, renew: Collection[str], on_event: Callable[[Event], None],
    ) -> None:  # fmt: skip
        self.plan, self.store, self.executor = plan, context.store, executor
        self.device = context.device
        self.options, self.pruning, self.on_event = options, pruning, on_event
        cells = [job for job in plan.jobs.values() if job.kind == "cell"]
        status = {cell.key: valid_status(cell.key, self.store) for cell in cells}
        failed = [key for key, state in status.items() if state == "failed"]
        settled = {key for key, state in status.items() if state == "ok"}
        renewed = {key: msgspec.structs.replace(plan.jobs[key], renew=True) for key in settled.intersection(renew)}
        # Logits may have been pruned since the plan was compared with the store.
        renewed = {key: job for key, job in renewed.items() if all(map(self.store.has, job.reads))}
        settled -= renewed.keys()
        self.counts = RunCounts(cells=len(cells), slots=executor.slots, prediction=prediction)
        self.counts.cached = self.counts.done = len(settled)
        if not options.retry_failed:
            self.counts.failed += failed
            settled.update(failed)
        jobs = jobs_to_run(plan.jobs, [cell for cell in cells if cell.key not in settled], self.store) | renewed
        self.ready = ReadyQueue(plan.jobs, _stacked_on(self.device, jobs))
        self.counts.add(jobs.values())
        self.tasks: list[set[str]] = []
        """Keys of the jobs without an outcome, for each submitted task."""
        self.submitted = 0
        self.cold: set[str] = set()
        """The first job of each worker, whose time includes loading libraries."""
        self.elsewhere: dict[str, Job] = {}
        """Jobs that run in other processes."""
        self.next_poll = 0.0
        self.deaths: Counter[str] = Counter()
        self.remakes: Counter[str] = Counter()
        self.signals = SignalCount()
        self.budget = options.budget or Budget()

    # --- the loop ------------------------------------------------------------------------------------------------

    def until_done(self) -> Summary:
        self.emit("begin")
        if self.ready.left:
            self.store.check_writable()
            self.store.sweep()
        announced = False
        while True:
            going_on = not self.signals and not self.budget.is_spent
            if going_on:
                self.submit()
            if not (self.tasks or (going_on and self.elsewhere)):
                break
            for outcome in self.executor.wait(_TICK):
                self.handle(outcome)
            self.poll()
            self.emit("tick")
            if self.signals and not announced:
                announced = True
                self.emit("stopping", note="finishing running jobs; another signal stops immediately")
        self.pruning.sweep(self.ready.is_left)
        self.emit("end")
        if self.signals:
            raise self.interrupted()
        counts = self.counts
        return Summary(
            cells=counts.cells, done=counts.done, cached=counts.cached, failed=tuple(counts.failed),
            unfinished=counts.cells - counts.done - len(counts.failed), ran=dict(counts.ran),
            done_elsewhere=counts.done_elsewhere, seconds=counts.elapsed,
        )  # fmt: skip

    def submit(self) -> None:
        self.counts.slots = self.executor.slots
        while len(self.tasks) < self.executor.slots and not self.budget.is_spent:
            task = self.ready.take(self.estimate)
            if not task:
                return
            self.executor.submit(task)
            self.budget.begin(sum(self.plan.passes.get(job.key, 0.0) for job in task))
            self.tasks.append({job.key for job in task})
            # Each of the first tasks starts a worker; which worker gets a later task is unknown.
            if self.submitted < self.executor.slots:
                self.cold.add(task[0].key)
            self.submitted += 1
            for job in task:
                self.counts.begin(job, frozenset(j.key for j in self.ready.dependents(job.key) if j.kind == "cell"))
            self.emit("handed", task[0], task=tuple(task))

    def estimate(self, job: Job) -> float:
        seconds = self.counts.prediction.seconds(job)
        return float("inf") if seconds is None else seconds

    def poll(self) -> None:
        """Mark jobs that other processes have done; queue again those that they gave up."""
        if not self.elsewhere or time.monotonic() < self.next_poll:
            return
        self.next_poll = time.monotonic() + _POLL
        for key, job in list(self.elsewhere.items()):
            if finished(job, self.store):
                self.forget_elsewhere(key)
                self.finish(job, None)
            elif not self.store.leases.is_held(key):
                self.forget_elsewhere(key)
                self.ready.put_back(key)

    def forget_elsewhere(self, key: str) -> None:
        self.elsewhere.pop(key, None)
        self.counts.running_elsewhere = len(self.elsewhere)

    # --- outcomes ------------------------------------------------------------------------------------------------

    def handle(self, outcome: Outcome) -> None:
        key = outcome.key
        for task in self.tasks:
            task.discard(key)
        self.tasks = [task for task in self.tasks if task]
        self.counts.end(key)
        if not self.ready.is_left(key):
            return
        job = self.ready.jobs[key]
        match outcome.status:
            case "done":
                self.finish(job, outcome.seconds)
            case "found":
                self.finish(job, None)
            case "busy":
                self.elsewhere[key] = job
                self.counts.running_elsewhere = len(self.elsewhere)
                self.emit("busy", job)
            case "skipped":
                self.ready.put_back(key)
            case "apart":
                self.ready.separate(job)
            case "died":
                self.after_death(job, outcome.error or {})
            case "failed":
                self.after_failure(job, outcome)

    def finish(self, job: Job, seconds: float | None) -> None:
        self.ready.done(job.key)
        self.counts.finish(job, seconds=seconds, cold=job.key in self.cold)
        self.pruning.after(job, self.ready.is_left)
        if job.kind == "cell" and seconds is not None:
            self.budget.derived()
        self.emit("found" if seconds is None else "done", job, seconds=seconds)

    def after_death(self, job: Job, error: Mapping[str, Any]) -> None:
        if self.signals:
            self.ready.put_back(job.key)  # Ctrl-C may have reached the worker, too
            return
        if self.ready.is_stacked(job):
            self.ready.separate(job)  # which of them killed the worker shows when each runs alone
            return
        self.deaths[job.key] += 1
        if self.deaths[job.key] > self.options.retries:
            self.fail(job, error)
        else:
            self.ready.put_back(job.key)
            self.emit("retry", job, str(error.get("message", "")))

    def after_failure(self, job: Job, outcome: Outcome) -> None:
        lost = [parent for parent in job.reads if not finished(self.plan.jobs[parent], self.store)]
        if lost and job.renew:
            self.fail(job, outcome.error or {})  # keep the record; a missing metric never causes training
            return
        if lost and self.remakes[job.key] < _REMAKES:
            # A parent was quarantined or removed: recompute it, then retry this job.
            self.remakes[job.key] += 1
            jobs = jobs_to_run(self.plan.jobs, [job], self.store)
            self.counts.add(self.ready.add(_stacked_on(self.device, jobs)))
            self.ready.put_back(job.key)
            for key in lost:
                self.emit(
                    "remake", self.plan.jobs[key], f"the {self.plan.jobs[key].kind} {key} disappeared from the store"
                )
            return
        if outcome.store_error is not None:
            raise outcome.store_error
        self.fail(job, outcome.error or {})

    def fail(self, job: Job, error: Mapping[str, Any]) -> None:
        """Give up a job. Every cell that depends on it gets a record with the error."""
        failed, needless = self.ready.fail(job.key)
        for lost in (*needless, *failed):
            self.forget_elsewhere(lost.key)
            self.counts.left.pop(lost.key, None)
        for lost in failed:
            if lost.kind == "cell":
                self.store.put_record(failed_record(lost, error))
                self.counts.failed.append(lost.key)
        self.emit("failed", job, str(error.get("message", "")))

    # --- reporting -------------------------------------------------------------------------------------------------

    def emit(
        self,
        kind: Any,
        job: Job | None = None,
        note: str = "",
        *,
        task: tuple[Job, ...] = (),
        seconds: float | None = None,
    ) -> None:
        for begun in task:
            _log.info("begun: %s %s, %s", begun.kind, begun.key, about(begun))
        if job is not None:
            took = "" if seconds is None else f" in {seconds:.1f} s"
            _log.info("%s: %s %s, %s%s%s", kind, job.kind, job.key, about(job), took, f": {note}" if note else "")
        self.on_event(Event(kind=kind, counts=self.counts, job=job, note=note, task=task, seconds=seconds))

    def interrupted(self) -> Interrupted:
        return Interrupted(
            f"stopped with {self.counts.done:,} of {counted(self.counts.cells, 'cell')} done",
            fix="run the same command to continue",
        )


def _stacked_on(device: str, jobs: dict[str, Job]) -> dict[str, Job]:
    """Return the jobs as workers with this device run them: on a GPU, more of them together."""
    if device == "cpu":
        return jobs
    return {
        key: msgspec.structs.replace(job, together=job.together or job.together_on_gpu) for key, job in jobs.items()
    }
