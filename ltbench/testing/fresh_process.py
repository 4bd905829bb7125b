"""Techniques in a fresh process.

Starting Python and torch for each technique would take seconds. So two processes are started once and wait: one that
has imported nothing heavy, and one that has imported torch. Each forks for every question: the child, which has seen
no technique, answers it and ends.
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
from typing import IO, Any, Literal

import msgspec

from ltbench.technique import Technique
from ltbench.testing.finding import Skip
from ltbench.testing.subject import source_file

HEAVY = ("torch", "torchvision", "timm", "numpy", "pandas")
_WITHOUT_TORCH = ("dataset", "profile", "regime", "posthoc", "ensemble", "metric")
_HASH_SEEDS = ("1", "2")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a fresh process is asked."""

    what: Literal["import", "outcome"]
    module: str
    file: str
    path: tuple[str, ...]
    """`sys.path` of the process that asks."""
    cwd: str
    pickled: bytes = b""


class Answer(msgspec.Struct, kw_only=True):
    """What it says."""

    error: str = ""
    heavy: dict[str, str] = {}
    """Heavy libraries that importing the module imported, and the line that did."""
    outcome: dict[str, Any] = {}


def imported(kind: type[Technique]) -> Answer:
    """Return what importing the module of a technique imports."""
    return _ask("bare", _question("import", kind))


def outcome(technique: Technique) -> Answer:
    """Return all that a technique answers, laid out flat."""
    question = _question("outcome", type(technique), pickle.dumps(technique))
    return _ask(_kinds(technique.stage)[-1], question)


def _question(what: Literal["import", "outcome"], kind: type[Technique], pickled: bytes = b"") -> Question:
    return Question(
        what=what, module=kind.__module__, file=source_file(kind), path=tuple(sys.path), cwd=str(Path.cwd()), pickled=pickled
    )  # fmt: skip


def _ask(kind: str, question: Question) -> Answer:
    process = _process(kind)
    assert process.stdin is not None, "it is a pipe"
    assert process.stdout is not None, "it is a pipe"
    try:
        pickle.dump(question, process.stdin)
        process.stdin.flush()
        return pickle.load(process.stdout)  # type: ignore[no-any-return]  # noqa: S301 - our own process
    except (OSError, EOFError) as error:
        _process.cache_clear()
        raise Skip(f"no fresh process answers ({type(error).__name__}); what it said is above") from None


@cache
def _process(kind: str) -> subprocess.Popen[bytes]:
    """Start a process that waits for questions; it ends with this one."""
    seed = _HASH_SEEDS[os.environ.get("PYTHONHASHSEED") == _HASH_SEEDS[0]]
    # Threads of libraries would not survive the fork.
    alone = {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", f"from ltbench.testing.fresh_process import serve; serve({kind!r})"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | alone | {"PYTHONPATH": path},
    )  # fmt: skip
    atexit.register(_end, process)
    return process


def start(stage: str) -> None:
    """Start now what techniques of a stage will be asked in, so that it is ready then."""
    for kind in _kinds(stage):
        _process(kind)


def _kinds(stage: str) -> tuple[str, ...]:
    return ("bare",) if stage in _WITHOUT_TORCH else ("bare", "warm")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.communicate()


# --- inside of the fresh process --------------------------------------------------------------------------------


def serve(kind: str) -> None:
    """Answer questions from stdin on stdout until there are no more, each in a child of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the process that asks
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what plugins print is no answer
    if kind == "warm":
        importlib.import_module("torch")
    while True:
        try:
            question = pickle.load(questions)  # noqa: S301 - from the process that began this one
        except EOFError:
            return
        reading, writing = os.pipe()
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(_answered(question), pipe)
            os._exit(0)
        os.close(writing)
        _relay(reading, answers)


def _relay(reading: int, answers: IO[bytes]) -> None:
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.wait()
    answers.write(said or pickle.dumps(Answer(error=f"the process ended with {os.waitstatus_to_exitcode(status)}")))
    answers.flush()


def _answered(question: Question) -> Answer:
    sys.path[:] = question.path
    try:
        os.chdir(question.cwd)
        watch = _Watch()
        sys.meta_path.insert(0, watch)
        _import(question.module, question.file)
        if question.what == "import":
            return Answer(heavy={name: watch.seen.get(name, "") for name in HEAVY if name in sys.modules})
        from ltbench.testing.subject import Subject

        technique = pickle.loads(question.pickled)  # noqa: S301 - what is examined
        return Answer(outcome=Subject(technique).outcome())
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is the answer
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Answer(error=f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")


def _import(name: str, file: str) -> None:
    """Import a module by its name, or from its file where the name leads nowhere or elsewhere."""
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin == file:
            importlib.import_module(name)
            return
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, f"{file} is a Python file"
    assert spec.loader is not None, f"{file} is a Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


class _Watch:
    """Writes down who imports a heavy library first; finds nothing itself."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in HEAVY and name not in self.seen:
            frame = next((f for f in reversed(traceback.extract_stack()[:-1]) if "importlib" not in f.filename), None)
            self.seen[name] = f"{Path(frame.filename).name}:{frame.lineno}" if frame else ""
