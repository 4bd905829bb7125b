"""Call techniques in a fresh process.

Starting Python and torch for each technique would take seconds. So two server processes are started once: one without
heavy imports, one that has imported torch. Each forks for every request; the child answers it and exits.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import IO, Any

import msgspec

from ltbench.core.tracebacks import traceback_of
from ltbench.errors import raised
from ltbench.registry.discovery import import_file
from ltbench.technique import Technique
from ltbench.testing.finding import Skip
from ltbench.testing.subject import source_file

HEAVY = ("torch", "torchvision", "timm", "numpy", "pandas")
_WITHOUT_TORCH = ("dataset", "profile", "regime", "posthoc", "ensemble", "metric")
_HASH_SEEDS = ("1", "2")  # two, so that the server never has the hash seed of this process


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a fresh process: import a module and, if a technique is given, call it."""

    module: str
    file: str
    path: tuple[str, ...]
    """`sys.path` of the requesting process."""
    cwd: str
    pickled: bytes = b""


class Response(msgspec.Struct, kw_only=True):
    """The response of a fresh process."""

    error: str = ""
    heavy: dict[str, str] = {}
    """Heavy libraries that the module imported, and the importing line."""
    result: dict[str, Any] = {}


def imported(kind: type[Technique]) -> Response:
    """Import the module of a technique and return which heavy libraries that imported."""
    return _send("bare", kind)


def result(technique: Technique) -> Response:
    """Call every method of a technique and return the flat result."""
    return _send(_kinds(technique.stage)[-1], type(technique), pickle.dumps(technique))


def _send(server: str, kind: type[Technique], pickled: bytes = b"") -> Response:
    request = Request(
        module=kind.__module__, file=source_file(kind), path=tuple(sys.path), cwd=str(Path.cwd()), pickled=pickled
    )
    process = _process(server)
    assert process.stdin is not None, "it is a pipe"
    assert process.stdout is not None, "it is a pipe"
    try:
        pickle.dump(request, process.stdin)
        process.stdin.flush()
        return pickle.load(process.stdout)  # type: ignore[no-any-return]  # noqa: S301 - our own process
    except (OSError, EOFError) as error:
        _process.cache_clear()
        raise Skip(f"the fresh process died ({type(error).__name__}); its output is above") from None


@cache
def _process(kind: str) -> subprocess.Popen[bytes]:
    """Start a server process, which ends with this one."""
    seed = _HASH_SEEDS[os.environ.get("PYTHONHASHSEED") == _HASH_SEEDS[0]]
    # Threads of libraries do not survive a fork.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", f"from ltbench.testing.fresh_process import serve; serve({kind!r})"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | threads | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
    )  # fmt: skip
    atexit.register(_end, process)
    return process


def start(stage: str) -> None:
    """Start the server processes for techniques of a stage ahead of the first request."""
    for kind in _kinds(stage):
        _process(kind)


def _kinds(stage: str) -> tuple[str, ...]:
    return ("bare",) if stage in _WITHOUT_TORCH else ("bare", "warm")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.communicate()


# --- in the server process ---------------------------------------------------------------------------------------


def serve(kind: str) -> None:
    """Answer requests from stdin on stdout until stdin ends, each in a forked child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends with its stdin
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of plugins must not mix with responses
    if kind == "warm":
        importlib.import_module("torch")
    while True:
        try:
            request = pickle.load(requests)  # noqa: S301 - from the parent process
        except EOFError:
            return
        reading, writing = os.pipe()
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(_answer(request), pipe)
            os._exit(0)
        os.close(writing)  # otherwise reading would never end
        _relay(reading, responses)


def _relay(reading: int, responses: IO[bytes]) -> None:
    with os.fdopen(reading, "rb") as pipe:
        response = pipe.read()
    _, status = os.wait()
    responses.write(
        response or pickle.dumps(Response(error=f"the process ended with {os.waitstatus_to_exitcode(status)}"))
    )
    responses.flush()


def _answer(request: Request) -> Response:
    sys.path[:] = request.path
    try:
        os.chdir(request.cwd)
        log = _ImportLog()
        sys.meta_path.insert(0, log)
        _import(request.module, request.file)
        if not request.pickled:
            return Response(heavy={name: log.lines.get(name, "") for name in HEAVY if name in sys.modules})
        from ltbench.testing.subject import Subject

        technique = pickle.loads(request.pickled)  # noqa: S301 - pickled by this user
        return Response(result=Subject(technique).result())
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is the response
        last = traceback.extract_tb(traceback_of(error))[-1]
        return Response(error=f"{raised(error)} ({Path(last.filename).name}:{last.lineno})")


def _import(name: str, file: str) -> None:
    """Import a module by name, or from its file if the name finds no module or another one."""
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin == file:
            importlib.import_module(name)
            return
    import_file(Path(file), name)


class _ImportLog:
    """An import hook that records the first import of each heavy library and finds no module itself."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in HEAVY and name not in self.lines:
            frame = next((f for f in reversed(traceback.extract_stack()[:-1]) if "importlib" not in f.filename), None)
            self.lines[name] = f"{Path(frame.filename).name}:{frame.lineno}" if frame else ""
