"""A plugin whose posthocs fail in all ways that we could think of; each is named `bad_` and its kind."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from ltbench.core.signals import StopNow
from ltbench.errors import StoreError, UsageError, WorkerRefused
from ltbench.hookspecs import hookimpl
from ltbench.stages import Posthoc

LONG = 3_000_000


def throw(error: BaseException) -> NoReturn:
    raise error


def forever() -> NoReturn:
    while True:
        time.sleep(0.05)


def recurse() -> None:
    recurse()


def circle() -> NoReturn:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


def deep() -> NoReturn:
    error = ValueError("first")
    for _ in range(20_000):
        another = ValueError("another")
        another.__cause__ = error
        error = another
    raise error


def kind_of_error(name: str, of: Any = type, **methods: Any) -> BaseException:
    """Return an exception of a class with these methods, or properties, that run when it is looked at."""
    error: BaseException = of(name, (Exception,), methods)("text")
    return error


class OwnName(type):
    @property
    def __name__(cls) -> str:
        raise RuntimeError("no name")


def raising(error: type[BaseException]) -> Callable[[object], NoReturn]:
    return lambda _: throw(error("again"))


def thread_and(then: Callable[[], object]) -> None:
    threading.Thread(target=forever, daemon=False).start()
    then()


def close_output() -> NoReturn:
    os.close(1)
    os.close(2)
    raise ValueError("closed")


RAISING: dict[str, Callable[[], object]] = {
    "base": lambda: throw(type("Stop", (BaseException,), {})("x")),
    "keyboard_interrupt": lambda: throw(KeyboardInterrupt()),
    "system_exit": lambda: sys.exit(0),
    "system_exit_text": lambda: sys.exit("bye"),
    "generator_exit": lambda: throw(GeneratorExit()),
    "stop_iteration": lambda: throw(StopIteration()),
    "stop_now": lambda: throw(StopNow()),
    "memory": lambda: throw(MemoryError()),
    "group": lambda: throw(BaseExceptionGroup("g", [KeyboardInterrupt(), ValueError("v")])),
    "half_character": lambda: throw(ValueError("a\ud800b")),
    "long_message": lambda: throw(ValueError("x" * LONG)),
    "long_name": lambda: throw(kind_of_error("L" * LONG)),
    "controls": lambda: throw(ValueError("\x1b[2J\x07\r\nltbench: done")),
    "control_in_name": lambda: throw(kind_of_error("S\x1b[2J\n")),
    "no_name": lambda: throw(kind_of_error("Unnamed", OwnName)),
    "no_text": lambda: throw(kind_of_error("Mute", __str__=raising(RuntimeError))),
    "interrupt_as_text": lambda: throw(kind_of_error("Interrupting", __str__=raising(KeyboardInterrupt))),
    "number_as_text": lambda: throw(kind_of_error("Number", __str__=lambda _: 3)),
    "no_traceback": lambda: throw(kind_of_error("Untraced", __traceback__=property(raising(RuntimeError)))),
    "no_cause": lambda: throw(kind_of_error("Causeless", __cause__=property(raising(RuntimeError)))),
    "no_class": lambda: throw(kind_of_error("Classless", __class__=property(raising(RuntimeError)))),
    "circle": circle,
    "deep": deep,
    "recursion": recurse,
    "of_usage": lambda: throw(UsageError("\x1b[31m\ud800" + "y" * LONG, fix="\ud800")),
    "of_store": lambda: throw(StoreError("the store is full, says a technique")),
    "of_worker": lambda: throw(WorkerRefused("all workers are wrong, says a technique")),
    "full_disk": lambda: throw(OSError(28, "No space left on device")),
    "thread": lambda: thread_and(lambda: throw(ValueError("left a thread"))),
}
"""Fail in any process."""
QUIET: dict[str, Callable[[], object]] = {
    "quiet_thread": lambda: thread_and(lambda: None),
    "quiet_timer": lambda: threading.Timer(1_000, forever).start(),
    "quiet_process": lambda: subprocess.Popen(["sleep", "30"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
    "quiet_fork": lambda: os.fork() or (os.closerange(0, 256), time.sleep(30), os._exit(0)),
    "quiet_end": lambda: atexit.register(forever),
}
"""Do not fail, and leave something behind."""
DEADLY: dict[str, Callable[[], object]] = {
    "output_closed": close_output,
    "files_closed": lambda: os.closerange(3, 256),
    "files_closed_and_raised": lambda: (os.closerange(3, 256), throw(ValueError("closed"))),
    "much_output": lambda: (os.write(1, b"\x1b[2J" * LONG), throw(ValueError("wrote"))),
    "exit_0": lambda: os._exit(0),
    "exit_5": lambda: os._exit(5),
    "segmentation_fault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminated": lambda: signal.raise_signal(signal.SIGTERM),
    "exit_as_text": lambda: throw(kind_of_error("Exiting", __str__=lambda _: os._exit(3))),
    "hang_as_text": lambda: throw(kind_of_error("Hanging", __str__=lambda _: forever())),
    "hang": forever,
    "hang_in_c": lambda: ctypes.PyDLL(None).sleep(1_000),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}
"""Fail, and may take their process with them."""
SURVIVED = {"output_closed", "much_output"}
"""Those of them that a worker survives."""


def made(kind: str, act: Callable[[], object]) -> type[Posthoc]:
    def adjust(self: Posthoc, logits: Any, counts: Any) -> Any:
        act()
        return logits

    fields = {"__doc__": "A posthoc that fails.", "__module__": __name__, "name": f"bad_{kind}", "adjust": adjust}
    return type(Posthoc)(kind.title().replace("_", ""), (Posthoc,), fields, frozen=True)


CLASSES = [made(kind, act) for kind, act in (RAISING | QUIET | DEADLY).items()]


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return CLASSES
