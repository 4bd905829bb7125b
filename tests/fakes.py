"""Jobs that do nothing but behave: for tests of what surrounds jobs. Imported by worker processes, too."""

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

from ltbench.core.plugins import PluginOrigin
from ltbench.core.spec import Job
from ltbench.executor import Context
from ltbench.records import from_store
from ltbench.registry.registry import Registry
from ltbench.running import runner
from ltbench.store.store import Store

WORK = "fakes:work"


def make(key, *parents, kind="fit", **spec):
    """Return a job. spec: what it `does`, and for how many `seconds` it `sleeps` before."""
    return Job(key=key, kind=kind, spec=spec, parents=tuple(parents))


def plan(*jobs):
    return SimpleNamespace(jobs={job.key: job for job in jobs})


def context(root, *, ttl=60.0):
    registry = Registry.load_origin(PluginOrigin())
    return Context(store=Store(root, ttl=ttl), registry=registry, data_root=Path("unused"))


def work(job, context):
    """Behave as the job's spec says, write down that it was done, and make the artefact or record."""
    store = context.store
    for key in job.reads:
        store.checked(key)
    journal(store, "began", job.key)
    time.sleep(job.spec.get("sleeps", 0.0))
    getattr(Deeds, job.spec.get("does", "nothing"))(store, job)
    if job.kind == "cell":
        store.put_record({"id": job.key, "status": "ok", "parents": job.parents})
    elif job.spec.get("does") != "leave_nothing":
        with store.writing(job.key) as folder:
            (folder / "meta.json").write_text("{}")
    journal(store, "ended", job.key)


def torch_threads(job, context):
    """Do what a worker does before the real work, and write down what torch says then."""
    from ltbench.executors.perform import one_thread

    one_thread()
    import torch

    (context.store.root / "threads").write_text(f"{torch.get_num_threads()} {torch.get_num_interop_threads()}")
    work(job, context)


def until_enough(job, context):
    """Do a job of the tree; from its third fit on, only when a file says that it is enough."""
    if job.kind == "fit" and job.key >= "fit2":
        wait_for((context.store.root / "enough").exists, seconds=300)
    work(job, context)


def die(parent):
    """Stand in for what a worker does first, and end it."""
    os._exit(1)


class Deeds:
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
        os.kill(os.getpid(), signal.SIGINT)  # as a person would, in the middle of a job that runs in this process

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
    def leak(store, job):
        held = []
        while True:
            held.append(bytearray(b"x") * 5_000_000)
            time.sleep(0.01)

    @staticmethod
    def kill_itself_with_the_locks(store, job):
        """Die while holding the locks that the workers of one pool share, as one killed at the wrong moment does."""
        if first_time(store, job):
            channels = [o for o in gc.get_objects() if isinstance(o, WorkerChannel)]
            assert all(channel.mutex.acquire() for channel in channels)
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def tell(store, job):
        (store.root / "told").write_text(repr({k: v for k, v in os.environ.items() if "THREADS" in k or "MALLOC" in k}))

    @staticmethod
    def fill_the_disk(store, job):
        with store.writing(job.key):
            raise OSError(28, "No space left on device")


def first_time(store, job):
    with contextlib.suppress(FileExistsError):
        (store.root / f"once-{job.key}").touch(exist_ok=False)
        return True
    return False


def journal(store, what, key):
    handle = os.open(store.root / "journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(handle, f"{what} {key} {os.getpid()}\n".encode())
    os.close(handle)


def journalled(store, what):
    """Return the keys, in order, that jobs wrote down."""
    with contextlib.suppress(FileNotFoundError):
        lines = [line.split() for line in (store.root / "journal").read_text().splitlines()]
        return [key for said, key, _ in lines if said == what]
    return []


def pids(store):
    with contextlib.suppress(FileNotFoundError):
        return [int(line.split()[2]) for line in (store.root / "journal").read_text().splitlines()]
    return []


def plain_records(monkeypatch=None):
    """Have the runner accept records that are not of cells of the real kind."""
    replace = setattr if monkeypatch is None else monkeypatch.setattr
    replace(from_store, "check", lambda record: None)
    replace(runner, "failed_record", lambda job, error: {"id": job.key, "status": "failed", "error": dict(error)})


def tree(fits=6, cells=3, **spec):
    """Return a plan of some fits, with a prediction and some cells each."""
    jobs = []
    for fit in range(fits):
        jobs.append(make(f"fit{fit}", **spec))
        jobs.append(make(f"predict{fit}", f"fit{fit}", kind="predict"))
        jobs += [make(f"cell{fit}-{n}", f"predict{fit}", kind="cell") for n in range(cells)]
    return plan(*jobs)


def wait_for(condition, seconds=30.0):
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def main(root, seconds, workers):
    """Run the tree of fakes on local workers, as the command does: `python -m fakes ROOT SECONDS WORKERS`."""
    from support import make_executor

    from ltbench.errors import LtbenchError
    from ltbench.executor import Terms

    plain_records()
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


def collected(executor, count, seconds=60.0):
    """Wait for so many outcomes and return them by key."""
    outcomes = {}
    deadline = time.monotonic() + seconds
    while len(outcomes) < count:
        assert time.monotonic() < deadline, f"only {sorted(outcomes)} came back"
        outcomes |= {outcome.key: outcome for outcome in executor.wait(0.2)}
    return outcomes


def statuses(outcomes):
    return {key: outcome.status for key, outcome in outcomes.items()}
