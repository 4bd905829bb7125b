"""The command `ltbench` with fake trainings and predictions; everything else is real. `python -m pretend run ...`

The environment says how jobs behave, so that worker processes know it, too. Jobs append what they do to a journal
outside the store. All numbers are derived from job keys, so two runs give byte-identical records.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import save_file

from ltbench import executor
from ltbench.executors.execute import execute
from ltbench.jobs import cell
from ltbench.store import leases

COST = {
    "train_seconds": 1.0,
    "samples": 96,
    "samples_per_second": 96.0,
    "peak_memory_bytes": 0,
    "parameters": 1,
    "macs": 1,
}
COUNTS = [200, 150, 100, 80, 60, 40, 20, 10, 6, 4]
OPTIONS = json.loads(os.environ.get("PRETEND", "{}"))
"""seconds: duration of a job; bytes: size of an artefact; does, times: misbehaviour (`hang`, `leak`) of that many fits;
place: host name in leases; hours: how far the clock is ahead; ttl: seconds after which a lease expires."""
JOURNAL = Path(os.environ.get("PRETEND_JOURNAL", "journal"))

# The time that deriving a cell takes is the only number of a record that is not derived from its key.
cell.time = SimpleNamespace(perf_counter=lambda: 0.0)
if "place" in OPTIONS:
    leases._place = lambda: OPTIONS["place"]
if "hours" in OPTIONS:
    real_time = time.time
    time.time = lambda: real_time() + 3600 * OPTIONS["hours"]


class Terms(executor.Terms, frozen=True, kw_only=True):
    """Terms whose jobs pretend unless a command says otherwise."""

    work: str = "pretend:work"


def work(job, context):
    """Do a job, or misbehave as the options say."""
    journal("began", job.key)
    chance = random.Random(f"{job.key} {os.getpid()}")
    misbehave(job, chance)
    if job.kind == "cell":
        execute(job, context)
    else:
        for parent in job.parents:
            context.store.checked(parent)
        time.sleep(OPTIONS.get("seconds", 0.02) * chance.uniform(0.5, 1.5))
        with context.store.writing(job.key) as folder:
            make(job, context, folder)
    journal("made", job.key)


def make(job, context, folder):
    numbers = np.random.default_rng(int(job.key[:12], 16))
    if job.kind == "fit":
        print("a line of log for", job.key, flush=True)
        (folder / "weights.bin").write_bytes(numbers.bytes(OPTIONS.get("bytes", 20_000)))
        meta = {"data": {"counts": COUNTS, "classes": list("abcdefghij"), "size": 28, "channels": 1}, "curve": {}}
    else:
        context.store.meta(job.spec["fit"])
        labels = np.arange(100, dtype=np.int64) % 10
        logits = numbers.normal(size=(100, 10)).astype(np.float32)
        save_file({"logits": logits, "labels": labels}, folder / "logits.safetensors")
        meta = {}
    meta |= {"spec": job.spec, "cost": COST | {"predict_seconds": 0.5}, "environment": {"python": "3"}, "plugins": []}
    (folder / "meta.json").write_text(json.dumps(meta))


def misbehave(job, chance):
    """Hang or leak memory, in the first `times` fits that start."""
    if job.kind != "fit" or "does" not in OPTIONS or not first_times(OPTIONS["times"]):
        return
    journal(OPTIONS["does"], job.key)
    time.sleep(chance.uniform(0.0, 0.2))
    if OPTIONS["does"] == "hang":
        time.sleep(1000)
    held = []
    while OPTIONS["does"] == "leak":
        held.append(bytearray(os.urandom(4096)) * chance.randrange(500, 5_000))
        time.sleep(0.01)


def first_times(times):
    """Whether fewer than `times` calls, in all processes together, came before this one."""
    for number in range(times):
        with contextlib.suppress(FileExistsError):
            JOURNAL.with_name(f"{JOURNAL.name}-{number}").touch(exist_ok=False)
            return True
    return False


def journal(what, key):
    handle = os.open(JOURNAL, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
    os.write(handle, f"{what} {key} {os.getpid()}\n".encode())
    os.close(handle)


def main():
    import pretend  # workers do not find a class of __main__

    from ltbench.cli import main
    from ltbench.cli.running import parts, prepare
    from ltbench.executors import debugger
    from ltbench.store.store import Store

    debugger.WORK = "pretend:work"
    executor.Terms = pretend.Terms  # of commands without a debugger
    prepare._fetch = lambda *_: None
    parts.write_local_page = lambda *_: ([], None)  # slower than all the rest: a trial publishes once, at its end
    Store.__init__.__kwdefaults__["ttl"] = OPTIONS.get("ttl", leases.TTL)
    main()


if __name__ == "__main__":
    main()
