"""Running a plan: what is missing, in order, on an executor, until it is done, stopped, or out of time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from ltbench.core.signals import SignalCount, StopNow, catch_signals
from ltbench.core.spec import Job
from ltbench.errors import Interrupted
from ltbench.executor import Context, Executor, Outcome
from ltbench.executors.perform import finished
from ltbench.planning.jobs_to_run import jobs_to_run
from ltbench.records.from_store import valid_status
from ltbench.running.events import Event, Summary
from ltbench.running.ready_queue import ReadyQueue
from ltbench.running.run_counts import RunCounts
from ltbench.store.training_states import Pruning
from ltbench.timing.estimate import Prediction

_TICK = 0.2
"""Seconds after which the run looks up, whether something ended or not."""
_POLL = 0.5
"""Seconds between looks at what another process is doing."""
_REMAKES = 3
"""How often what a job needs may vanish from the store before the job counts as failed."""


class Jobs(Protocol):
    """What a plan has to have."""

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Every job by key, in the order in which they are best run."""


def run(
    plan: Jobs,
    context: Context,
    executor: Executor,
    *,
    budget: float | None = None,
    retries: int = 1,
    retry_failed: bool = True,
    prediction: Prediction | None = None,
    keep_states: Collection[str] = (),
    on_event: Callable[[Event], None] = lambda _: None,
) -> Summary:
    """Do what a plan still lacks. Cells that have a record need nothing; whatever else is there is not made again.

    budget: seconds after which nothing new is begun. retries: how often a job is tried again whose worker died.
    retry_failed: whether cells that failed in an earlier run are tried again. prediction: what is known of the time
    that jobs take; it learns from this run. keep_states: fits whose state a later plan goes on from; every other state
    goes as soon as no job that is left needs it. on_event: told what happens, in this thread.

    Raises `Interrupted` after SIGINT or SIGTERM (one: what is running is finished; two: it is killed), and
    `StoreError` where the store takes nothing more.
    """
    pruning = Pruning(plan.jobs, context.store, keep_states)
    walk = _Run(plan, context, executor, retries, retry_failed, prediction or Prediction(), pruning, on_event)
    deadline = None if budget is None else time.monotonic() + budget
    try:
        with catch_signals() as walk.signals:
            return walk.until(deadline)
    except StopNow:
        executor.stop()
        raise walk.interrupted() from None


class _Run:
    def __init__(
        self,
        plan: Jobs,
        context: Context,
        executor: Executor,
        retries: int,
        retry_failed: bool,
        prediction: Prediction,
        pruning: Pruning,
        on_event: Callable[[Event], None],
    ) -> None:
        self.plan, self.store, self.executor = plan, context.store, executor
        self.retries, self.pruning, self.on_event = retries, pruning, on_event
        cells = [job for job in plan.jobs.values() if job.kind == "cell"]
        status = {cell.key: valid_status(cell.key, self.store) for cell in cells}
        self.tally = RunCounts(cells=len(cells), slots=executor.slots, prediction=prediction)
        self.tally.cached = self.tally.done = sum(one == "ok" for one in status.values())
        if not retry_failed:
            self.tally.failed += [key for key, one in status.items() if one == "failed"]
        missing = [cell for cell in cells if status[cell.key] is None or (status[cell.key] != "ok" and retry_failed)]
        jobs = jobs_to_run(plan.jobs, missing, self.store)
        self.frontier = ReadyQueue(plan.jobs, jobs)
        self.tally.add(jobs.values())
        self.out: set[str] = set()
        self.tasks: list[set[str]] = []
        self.handed = 0
        self.cold: set[str] = set()
        """The first job of each worker, which also waits for libraries to load."""
        self.busy: dict[str, Job] = {}
        self.next_poll = 0.0
        self.deaths: Counter[str] = Counter()
        self.remakes: Counter[str] = Counter()
        self.signals = SignalCount()

    # --- the loop ------------------------------------------------------------------------------------------------

    def until(self, deadline: float | None) -> Summary:
        self.tell("begin")
        if self.frontier.left:
            self.store.check_writable()
            self.store.sweep()
        told = False
        while True:
            if not self.signals and (deadline is None or time.monotonic() < deadline):
                self.submit()
                working = bool(self.tasks or self.busy)
            else:
                working = bool(self.tasks)
            if not working:
                break
            for outcome in self.executor.wait(_TICK):
                self.take_in(outcome)
            self.poll()
            self.tell("tick")
            if self.signals and not told:
                told = True
                self.tell("stopping", note="finishing what is running; once more to stop now")
        self.pruning.sweep(self.frontier.is_left)
        self.tell("end")
        if self.signals:
            raise self.interrupted()
        return self.summary()

    def submit(self) -> None:
        self.tally.slots = self.executor.slots
        while len(self.tasks) < self.executor.slots:
            task = self.frontier.take(self.estimate)
            if not task:
                return
            self.executor.submit(task)
            self.tasks.append({job.key for job in task})
            if self.handed < self.executor.slots:
                self.cold.add(task[0].key)
            self.handed += 1
            for job in task:
                self.tally.begin(job, frozenset(j.key for j in self.frontier.dependents(job.key) if j.kind == "cell"))
            self.tell("handed", task[0])

    def estimate(self, job: Job) -> float:
        seconds = self.tally.estimate(job)
        return float("inf") if seconds is None else seconds

    def poll(self) -> None:
        """Look at what other processes are doing: what they have done is done, what they gave up is ready again."""
        if not self.busy or time.monotonic() < self.next_poll:
            return
        self.next_poll = time.monotonic() + _POLL
        for key, job in list(self.busy.items()):
            if finished(job, self.store):
                self.not_busy(key)
                self.finish(job, None)
            elif not self.store.leases.is_held(key):
                self.not_busy(key)
                self.frontier.again(key)

    def not_busy(self, key: str) -> None:
        self.busy.pop(key, None)
        self.tally.busy = len(self.busy)

    # --- outcomes ------------------------------------------------------------------------------------------------

    def take_in(self, outcome: Outcome) -> None:
        key = outcome.key
        for task in self.tasks:
            task.discard(key)
        self.tasks = [task for task in self.tasks if task]
        self.tally.end(key)
        if not self.frontier.is_left(key):
            return
        job = self.frontier.jobs[key]
        match outcome.status:
            case "done":
                self.finish(job, outcome.seconds)
            case "found":
                self.finish(job, None)
            case "busy":
                self.busy[key] = job
                self.tally.busy = len(self.busy)
                self.tell("busy", job)
            case "skipped":
                self.frontier.again(key)
            case "died":
                self.after_death(job, outcome.error or {})
            case "failed":
                self.after_failure(job, outcome)

    def finish(self, job: Job, seconds: float | None) -> None:
        self.frontier.done(job.key)
        self.tally.finish(job, seconds=seconds, cold=job.key in self.cold)
        self.pruning.after(job, self.frontier.is_left)
        self.tell("found" if seconds is None else "done", job)

    def after_death(self, job: Job, error: Mapping[str, Any]) -> None:
        if self.signals:
            self.frontier.again(job.key)  # the signal that stops the run may have gone to its workers, too
            return
        self.deaths[job.key] += 1
        if self.deaths[job.key] > self.retries:
            self.fail(job, error)
            return
        self.frontier.again(job.key)
        self.tell("retry", job, str(error.get("message", "")))

    def after_failure(self, job: Job, outcome: Outcome) -> None:
        lost = [parent for parent in job.reads if not finished(self.plan.jobs[parent], self.store)]
        if lost and self.remakes[job.key] < _REMAKES:
            # What it reads was damaged and is set aside, or someone removed it: make that again, and then this.
            self.remakes[job.key] += 1
            self.tally.add(self.frontier.add(jobs_to_run(self.plan.jobs, [job], self.store)))
            self.frontier.again(job.key)
            for key in lost:
                self.tell("remake", self.plan.jobs[key], f"the {self.plan.jobs[key].kind} {key} is not in the store")
            return
        if outcome.store_error is not None:
            raise outcome.store_error
        self.fail(job, outcome.error or {})

    def fail(self, job: Job, error: Mapping[str, Any]) -> None:
        """Give up a job: every cell that needs it gets a record that says why."""
        failed, needless = self.frontier.fail(job.key)
        for lost in needless:
            self.not_busy(lost.key)
            self.tally.drop(lost)
        for lost in failed:
            self.not_busy(lost.key)
            self.tally.drop(lost)
            if lost.kind == "cell":
                self.store.put_record(failed_record(lost, error))
                self.tally.failed.append(lost.key)
        self.tell("failed", job, str(error.get("message", "")))

    # --- talking -------------------------------------------------------------------------------------------------

    def tell(self, kind: Any, job: Job | None = None, note: str = "") -> None:
        self.on_event(Event(kind=kind, tally=self.tally, job=job, note=note))

    def summary(self) -> Summary:
        tally = self.tally
        return Summary(
            cells=tally.cells,
            done=tally.done,
            cached=tally.cached,
            failed=tuple(tally.failed),
            unfinished=tally.cells - tally.done - len(tally.failed),
            ran=dict(tally.ran),
            found=tally.found,
            seconds=tally.elapsed,
        )

    def interrupted(self) -> Interrupted:
        return Interrupted(
            f"stopped with {self.tally.done} of {self.tally.cells} cells done",
            fix="run it again: the same command goes on from there",
        )


def failed_record(cell: Job, error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a cell that has no numbers."""
    from ltbench.jobs import cell as derive

    return derive.failed_record(cell, error)
