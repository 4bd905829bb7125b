"""Attacks on the workers of a Dask cluster, by whoever can reach their ports; and workers that are late or others."""

from __future__ import annotations

import asyncio
import io
import itertools
import random
import ssl
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from dask_processes import other_ltbench, start_cluster
from distributed.comm import connect
from distributed.security import Security
from faults.tally import Tally
from trial import Trial, finished, undisturbed_trial, wait_for

import ltbench
from ltbench.errors import WRONG_USAGE
from ltbench.executors import dask_cluster
from ltbench.executors.builtin import DaskOffer

_WORKERS = 2
_PATIENCE = 60.0
"""Seconds for what has to answer on a busy machine; what must not answer gets fewer."""
_SECONDS = 5.0


def open_workers(root: Path, rounds: int, writers: int) -> Tally:
    """Connect to scheduler, nannies and workers without the certificate of the cluster. writers: not used."""
    lost, tried = [], 0
    for _ in range(rounds):
        with dask_cluster.start(DaskOffer(workers=_WORKERS), None, root) as cluster:
            until = time.monotonic() + _PATIENCE
            while len(cluster.scheduler_info["workers"]) < _WORKERS and time.monotonic() < until:
                time.sleep(0.1)
            found: dict[str, Any] = cluster.scheduler_info
            addresses = [found["address"], *(one[key] for one in found["workers"].values() for key in ("nanny",))]
            addresses += found["workers"]
            assert len(addresses) == 5
            # Otherwise nothing would be shown by what is refused.
            known = cluster.security.get_connection_args("client")
            assert all(_answers(address, known, seconds=_PATIENCE) for address in addresses)
            for address in addresses:
                tried += 3
                if "//127.0.0.1:" not in address:
                    lost.append(f"{address} is not on this machine alone")
                plain = address.replace("tls://", "tcp://")
                for how, where, options in (
                    ("without encryption", plain, {"require_encryption": False}),
                    ("without a certificate", address, _believing(None)),
                    ("with another certificate", address, _believing(Security.temporary())),
                ):
                    if _answers(where, options):
                        lost.append(f"{address} takes commands {how}")
    return Tally("strangers who connect to workers of Dask", tried, lost)


def _believing(security: Security | None) -> dict[str, Any]:
    """Return how somebody connects who believes every server, and shows the certificate of other credentials or none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if security is not None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(security.tls_client_cert + security.tls_client_key)
            file.flush()
            context.load_cert_chain(file.name)
    return {"ssl_context": context, "require_encryption": True}


def _answers(address: str, options: dict[str, Any], *, seconds: float = _SECONDS) -> bool:
    """Whether a server does what it is told within some seconds: here, to say who it is."""

    async def ask() -> bool:
        comm = await connect(address, timeout=seconds, **options)
        try:
            await comm.write({"op": "identity", "reply": True})
            answer = await asyncio.wait_for(comm.read(), seconds)
            return isinstance(answer, dict) and "type" in answer
        finally:
            comm.abort()

    try:
        # In a thread of its own: the browser of other tests leaves a running loop in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(ask())).result()
    except (OSError, RuntimeError, TimeoutError, TypeError):
        return False


# --- workers that are late, or of another version --------------------------------------------------------------------


def _undisturbed(home: Path) -> Trial:
    with _quietly():
        return undisturbed_trial(home / "undisturbed")


def _check(trial: Trial, whole: Trial, *, lost: int) -> None:
    with _quietly():
        trial.check(whole, lost=lost)


@contextmanager
def _quietly() -> Iterator[None]:
    # Trials publish in this process, whose output is the table of attacks.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def late_workers(root: Path, rounds: int, writers: int) -> Tally:
    """Start the first worker after the command, and others while it works: the same page, nothing twice."""
    lost, whole = [], _undisturbed(root / "late")
    chance = random.Random(rounds)
    for number in range(rounds):
        trial = Trial(root / "late" / str(number), seconds=0.1)
        with start_cluster(trial, workers=0) as cluster:
            process = trial.start("--executor", f"dask[scheduler={cluster.address}]")
            time.sleep(chance.uniform(0.0, 3.0))
            cluster.add(1)
            wait_for(lambda trial=trial: len(trial.lines("made")) > 1, process)
            cluster.add(writers)
            try:
                finished(process)
                _check(trial, whole, lost=0)
            except AssertionError as error:
                lost.append(f"round {number}: {error}")
    return Tally("workers of Dask that join late", rounds, lost)


_FUTURE = "from __future__ import annotations\n"
OTHERS = {
    "version": ("version.py", f'__version__ = "{ltbench.__version__}"', '__version__ = "0.0.9"', "ltbench 0.0.9 (source "),
    "source": ("costs.py", _FUTURE, f"{_FUTURE}OTHER = True\n", f"ltbench {ltbench.__version__} (source "),
}  # fmt: skip
"""What another installation differs in: its file, a text there, the other text, and what a command says that it has."""


def workers_of_another_version(root: Path, rounds: int, writers: int) -> Tally:
    """Start workers of another ltbench, alone or beside right ones that work: they do nothing, and what is done stays."""
    lost, tried, whole = [], 0, _undisturbed(root / "versions")
    for number, (name, (file, old, new, says)) in itertools.product(range(rounds), OTHERS.items()):
        home = root / "versions" / f"{number}-{name}"
        other = (other_ltbench(home / "other", file=file, old=old, new=new),)
        for beside in (0, 1):
            tried += 1
            trial = Trial(home / str(beside), seconds=0.2)
            try:
                with start_cluster(trial, workers=beside) as cluster:
                    process = trial.start("--executor", f"dask[scheduler={cluster.address}]")
                    if beside:
                        wait_for(lambda trial=trial: trial.lines("made"), process)
                    cluster.add(writers, import_first=other)
                    error = finished(process, WRONG_USAGE)
                assert "a worker has another version of ltbench than the command" in error
                assert f"the worker has {says}" in error
                assert f"the command ltbench {ltbench.__version__} (source " in error
                assert beside or not trial.lines("began")
                trial.run("--executor", "local", seconds=0.0)
                _check(trial, whole, lost=beside)
            except AssertionError as error:
                lost.append(f"{name}, beside {beside} right ones: {error}")
    return Tally("workers of Dask with another ltbench", tried, lost)
