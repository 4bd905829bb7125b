"""Fake jobs that behave well or badly, for tests of executors and the runner. Worker processes import this, too."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from pebble.pool.channel import WorkerChannel

from ltbench.core.spec import Job
from ltbench.executor import Context
from ltbench.records import from_store
from ltbench.registry.registry import Registry
from ltbench.running import runner
from ltbench.store.store import Store

WORK = "fakes:work"


def make(key, *parents, kind="fit", **spec):
    """Return a job. spec: its behaviour (`does`, see `Behaviours`), and for how many seconds it `sleeps` before."""
    return Job(key=key, kind=kind, spec=spec, parents=tuple(parents))


def plan(*jobs):
    return SimpleNamespace(jobs={job.key: job for job in jobs}, passes={job.key: 10.0 for job in jobs})


def context(root, *, ttl=60.0):
    registry = Registry.load()
    return Context(store=Store(root, ttl=ttl), registry=registry, data_root=Path("unused"))


def work(job, context):
    """Behave as the job's spec says, write that to the journal, and store the artefact or record."""
    store = context.store
    for key in job.reads:
        store.checked(key)
    journal(store, "began", job.key)
    time.sleep(job.spec.get("sleeps", 0.0))
    getattr(Behaviours, job.spec.get("does", "nothing"))(store, job)
    # Before the result is visible: so every stored job has this line, even if its worker is killed right afterwards.
    journal(store, "ended", job.key)
    if job.kind == "cell":
        store.put_record({"id": job.key, "status": "ok", "parents": job.parents})
    elif job.spec.get("does") != "leave_nothing":
        with store.writing(job.key) as folder:
            (folder / "meta.json").write_text("{}")


def work_and_tell_the_device(job, context):
    """Do a job, and write the device of its worker to the journal."""
    journal(context.store, context.device, job.key)
    work(job, context)


def work_and_record_threads(job, context):
    """Set threads as a worker does before real work, and write down the thread counts of torch."""
    from ltbench.executors.perform import one_thread

    one_thread()
    import torch

    (context.store.root / "threads").write_text(f"{torch.get_num_threads()} {torch.get_num_interop_threads()}")
    work(job, context)


def work_until_released(job, context):
    """Do a job of the tree; its third and later fits wait until the test creates the file `enough`."""
    if job.kind == "fit" and job.key >= "fit2":
        wait_for((context.store.root / "enough").exists, seconds=300)
    work(job, context)


def die(parent):
    """Stand in for what a worker does first, and end it."""
    os._exit(1)


class Behaviours:
    """What a job can do instead of training, by name."""

    @staticmethod
    def nothing(store, job):
        pass

    leave_nothing = nothing

    @staticmethod
    def keep_state(store, job):
        with store.writing(f"{job.key}-state") as folder:
            (folder / "meta.json").write_text("{}")

    @staticmethod
    def stop(store, job):
        os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C in the middle of a job that runs in this process

    @staticmethod
    def talk(store, job):
        print("said by python")
        subprocess.run(["sh", "-c", "echo said by a program; echo and to stderr >&2"], check=True)

    @staticmethod
    def fail(store, job):
        print("said before the failure")
        raise ValueError("broken on purpose")

    @staticmethod
    def leave(store, job):
        sys.exit(3)

    @staticmethod
    def vanish(store, job):
        os._exit(0)

    @staticmethod
    def kill_itself(store, job):
        os.write(2, b"last words\n")
        os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def kill_itself_once(store, job):
        if first_time(store, job):
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def close_files(store, job):
        os.closerange(3, 256)

    @staticmethod
    def crash(store, job):
        ctypes.string_at(0)

    @staticmethod
    def hang(store, job):
        time.sleep(1000)

    @staticmethod
    def hang_once(store, job):
        if first_time(store, job):
            time.sleep(1000)

    @staticmethod
    def leak_with_lock(store, job):
        """Fill memory and then hold Python's global lock, so that no other thread of the process runs."""
        filled = b"x" * 400_000_000
        ctypes.PyDLL(None).sleep(30)
        del filled

    @staticmethod
    def leak(store, job):
        held = []
        while True:
            held.append(bytearray(b"x") * 5_000_000)
            time.sleep(0.01)

    @staticmethod
    def kill_itself_with_the_locks(store, job):
        """Die while holding the locks that workers of a pool share, as a worker that is killed while it uses them."""
        if first_time(store, job):
            # Only the garbage collector knows the worker's own channel: pebble gives no access to it.
            channels = [o for o in gc.get_objects() if isinstance(o, WorkerChannel)]
            assert all(channel.mutex.acquire() for channel in channels)
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def write_environment(store, job):
        (store.root / "environment").write_text(
            repr({k: v for k, v in os.environ.items() if "THREADS" in k or "MALLOC" in k})
        )

    @staticmethod
    def change_the_state(store, job):
        os.environ["LTBENCH_LEFT_BY_A_JOB"] = "1"

    @staticmethod
    def fill_the_disk(store, job):
        with store.writing(job.key):
            raise OSError(28, "No space left on device")


def first_time(store, job):
    """Whether no process has asked this for the job before."""
    with contextlib.suppress(FileExistsError):
        (store.root / f"once-{job.key}").touch(exist_ok=False)
        return True
    return False


def journal(store, what, key):
    """Append a line in one write, so that lines of several processes do not mix."""
    handle = os.open(store.root / "journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(handle, f"{what} {key} {os.getpid()}\n".encode())
    os.close(handle)


def journal_keys(store, what):
    """Return the keys of the journal's lines with this event, in order."""
    with contextlib.suppress(FileNotFoundError):
        lines = [line.split() for line in (store.root / "journal").read_text().splitlines()]
        return [key for event, key, _ in lines if event == what]
    return []


def pids(store):
    with contextlib.suppress(FileNotFoundError):
        return [int(line.split()[2]) for line in (store.root / "journal").read_text().splitlines()]
    return []


def accept_fake_records(monkeypatch=None):
    """Make the runner accept the records of fake cells, which lack most fields."""
    replace = setattr if monkeypatch is None else monkeypatch.setattr
    replace(from_store, "checked_record", lambda record: None)
    replace(runner, "failed_record", lambda job, error: {"id": job.key, "status": "failed", "error": dict(error)})


def tree(fits=6, cells=3, **spec):
    """Return a plan of fits, each with a prediction and some cells."""
    jobs = []
    for fit in range(fits):
        jobs.append(make(f"fit{fit}", **spec))
        jobs.append(make(f"predict{fit}", f"fit{fit}", kind="predict"))
        jobs += [make(f"cell{fit}-{n}", f"predict{fit}", kind="cell") for n in range(cells)]
    return plan(*jobs)


def wait_for(condition, seconds=30.0):
    """Wait until the condition returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"still not true after {seconds:g} s"
        time.sleep(0.02)
    return result


def main(root, seconds, workers):
    """Run the tree on local workers, as `ltbench run` does: `python -m fakes ROOT SECONDS WORKERS`."""
    from support import make_executor

    from ltbench.errors import LtbenchError
    from ltbench.executor import Terms

    accept_fake_records()
    here = context(root)
    try:
        with make_executor("local", here, Terms(workers=int(workers), work=WORK)) as executor:
            summary = runner.run(tree(sleeps=float(seconds)), here, executor)
    except LtbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(summary.done, sum(summary.ran.values()), threading.active_count())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))


def ended(executor, *tasks, seconds=60.0):
    """Submit tasks, wait for all, and return the outcomes by key."""
    for task in tasks:
        executor.submit(task)
    return collect_outcomes(executor, sum(map(len, tasks)), seconds)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def collect_outcomes(executor, count, seconds=60.0):
    """Wait for `count` outcomes and return them by key."""
    outcomes = {}
    deadline = time.monotonic() + seconds
    while len(outcomes) < count:
        assert time.monotonic() < deadline, f"only {sorted(outcomes)} came back"
        outcomes |= {outcome.key: outcome for outcome in executor.wait(0.2)}
    return outcomes


def statuses(outcomes):
    return {key: outcome.status for key, outcome in outcomes.items()}
