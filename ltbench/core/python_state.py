"""The state that Python and the system keep for a process: see `ltbench.core.process_state`."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import locale
import logging
import os
import random
import resource
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, MutableSequence
from typing import Any

from ltbench.core import collector
from ltbench.core.state_part import Part

_FLOATS = [sys.float_info.min, 0.5, 1.0, 1e-17]
"""In a list, so that the computation happens at run time and is not folded by the compiler."""
_LIMITS = {name: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
_ALARMS = {name: getattr(signal, name) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")}
_SIGNALS = {
    name: int(getattr(signal, name))
    for name in (
        "SIGINT",
        "SIGTERM",
        "SIGHUP",
        "SIGALRM",
        "SIGUSR1",
        "SIGUSR2",
        "SIGCHLD",
        "SIGPIPE",
        "SIGFPE",
        "SIGABRT",
        "SIGQUIT",
        "SIGTSTP",
        "SIGXCPU",
        "SIGXFSZ",
    )
}
"""Signals that a library or a run may handle; reading all takes longer than the rest of a snapshot."""
_CHANGES_NUMBERS = frozenset({
    b"ATEN_CPU_CAPABILITY", b"CUBLAS_WORKSPACE_CONFIG", b"DNNL_MAX_CPU_ISA", b"MKL_CBWR", b"MKL_DEBUG_CPU_TYPE",
    b"MKL_ENABLE_INSTRUCTIONS", b"MKL_NUM_THREADS", b"NPY_DISABLE_CPU_FEATURES", b"NPY_ENABLE_CPU_FEATURES",
    b"NVIDIA_TF32_OVERRIDE", b"OMP_NUM_THREADS", b"ONEDNN_MAX_CPU_ISA", b"OPENBLAS_CORETYPE", b"OPENBLAS_NUM_THREADS",
    b"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
})  # fmt: skip
"""Environment variables that control kernels, precision or threads, from the manuals of these libraries."""
MODULES_OF_FILES: set[str] = set()
"""Names of modules that are imported from files given by the user, which replaces them each time."""
_ENVIRON = os.environ
_CHANNELS: dict[int, tuple[int, ...]] = {}
"""File descriptors of a worker process, with what they were."""
_C: Any = ctypes.CDLL(None)
_C.getenv.restype = ctypes.c_char_p
_last_umask = os.umask(0o022)
os.umask(_last_umask)


def _environment() -> dict[bytes, bytes]:
    encoded: dict[bytes, bytes] = _ENVIRON._data  # type: ignore[attr-defined]  # noqa: SLF001 - a hundred times as fast
    return encoded.copy()


def _put_environment(before: Mapping[bytes, bytes]) -> None:
    os.environ = _ENVIRON  # noqa: B003 - the object of the start, which is the environment
    for name in os.environb.keys() - before:
        del os.environb[name]
    for name, value in before.items():
        if os.environb.get(name) != value:
            os.environb[name] = value
    time.tzset()  # Python reads $TZ only then


def _environment_of_c() -> dict[bytes, bytes | None]:
    """Return the variables that have another value for libraries in C than for Python: those of Python, or that change numbers."""
    python = _environment()
    names = [*python, *(_CHANGES_NUMBERS - python.keys())]
    values = list(map(_C.getenv, names))
    if values == list(map(python.get, names)):
        return {}
    return {name: value for name, value in zip(names, values, strict=True) if value != python.get(name)}


def _put_environment_of_c(before: Mapping[bytes, bytes | None]) -> None:
    for name in _environment_of_c().keys() | before.keys():
        value = before.get(name, _environment().get(name))
        if value is None:
            os.unsetenv(name)
        else:
            os.putenv(name, value)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd takes ten times as long
    except OSError:
        return ""  # it was removed


def _umask() -> int:
    # It can only be read by setting it, so set the last known value, for files created by other threads.
    global _last_umask  # noqa: PLW0603
    current = os.umask(_last_umask)
    if current != _last_umask:
        os.umask(current)
        _last_umask = current
    return current


def _floating_point() -> tuple[str, str]:
    small, half, one, tiny = _FLOATS
    rounded = (one + tiny, -one - tiny, one - tiny) == (one, -one, one)
    return "denormals kept" if small * half else "denormals are zero", "to nearest" if rounded else "another rounding"


def _put_floating_point(before: tuple[str, str]) -> None:
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(before[0] != "denormals kept")
    if before[1] == "to nearest" and hasattr(_C, "fesetround"):
        _C.fesetround(0)  # FE_TONEAREST on all processors that Python runs on


def _handlers() -> dict[str, Any]:
    return {name: signal.getsignal(number) for name, number in _SIGNALS.items()}


def _put_handlers(before: Mapping[str, Any]) -> None:
    for name, handler in before.items():
        if signal.getsignal(_SIGNALS[name]) is not handler:
            signal.signal(_SIGNALS[name], handler)


def _interpreter() -> tuple[int, float, int]:
    return sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits()


def _put_interpreter(before: tuple[int, float, int]) -> None:
    sys.setrecursionlimit(before[0])
    sys.setswitchinterval(before[1])
    sys.set_int_max_str_digits(before[2])


def _limits() -> dict[str, tuple[int, int]]:
    return {name: resource.getrlimit(number) for name, number in _LIMITS.items()}


def _put_limits(before: Mapping[str, tuple[int, int]]) -> None:
    for name, limits in before.items():
        resource.setrlimit(_LIMITS[name], limits)


def _collector() -> tuple[bool, tuple[int, ...], int]:
    return gc.isenabled(), gc.get_threshold(), gc.get_debug()


def _put_collector(before: tuple[bool, tuple[int, ...], int]) -> None:
    (gc.enable if before[0] else gc.disable)()
    gc.set_threshold(*before[1])
    gc.set_debug(before[2])


def _put_alarms(before: Mapping[str, str]) -> None:
    for name, value in before.items():
        if value == "off":
            signal.setitimer(_ALARMS[name], 0)


def watch_channels() -> None:
    """From now on, compare the pipes and event queues that are open now: the command speaks with this process through them."""
    if not _CHANNELS:
        numbers = dict.fromkeys(map(int, os.listdir("/dev/fd")))  # noqa: PTH208 - no paths
        # Sockets and files come and go, in other threads of a Dask worker.
        _CHANNELS.update(
            {n: file for n, file in _open_files(numbers).items() if stat.S_IFMT(file[0]) in (stat.S_IFIFO, 0)}
        )


def has_lost_channels() -> bool:
    """Whether one of them is no longer open."""
    return _open_files(_CHANNELS) != _CHANNELS


def _open_files(numbers: Iterable[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for number in numbers:
        with contextlib.suppress(OSError):
            now = os.fstat(number)
            found[number] = (now.st_mode, now.st_dev, now.st_ino)
    return found


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr


def _put_streams(before: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = before


def _modules() -> dict[str, Any]:
    modules = sys.modules.copy()
    for name in MODULES_OF_FILES:
        modules.pop(name, None)
    return modules


def _put_modules(before: Mapping[str, Any]) -> None:
    sys.modules.update(before)


def _put_tracing(before: tuple[Any, ...]) -> None:
    for put, value in zip(
        (sys.settrace, sys.setprofile, threading.settrace, threading.setprofile), before, strict=True
    ):
        put(value)


def _list(name: str, owner: Any, attribute: str, *, keeps_added: bool) -> Part:
    """Return the part for a list that may be changed in place or replaced."""

    def put(before: MutableSequence[Any]) -> None:
        try:
            getattr(owner, attribute)[:] = before
        except TypeError:  # it is no longer a list
            setattr(owner, attribute, list(before))
        if owner is warnings:
            # Python caches decisions of the earlier filters.
            getattr(warnings, "_filters_mutated", lambda: None)()

    return Part(
        name=name, get=lambda: list(getattr(owner, attribute)), put=put, imports_add=True, keeps_added=keeps_added,
        private=True,
    )  # fmt: skip


PARTS: tuple[Part, ...] = (
    Part(
        name="the environment variable",
        get=_environment,
        put=_put_environment,
        imports_add=True,
        never_added=_CHANGES_NUMBERS,
    ),
    Part(
        name="os.environ",
        get=lambda: "itself" if os.environ is _ENVIRON else "another object",
        put=lambda _: setattr(os, "environ", _ENVIRON),
    ),
    Part(name="the environment variable of C", get=_environment_of_c, put=_put_environment_of_c),
    Part(name="the working directory", get=_folder, put=os.chdir, private=True),
    Part(name="the umask", get=lambda: f"{_umask():03o}", put=lambda before: os.umask(int(before, 8))),
    Part(name="the floating-point mode", get=_floating_point, put=_put_floating_point),
    Part(name="the handler of the signal", get=_handlers, put=_put_handlers),
    Part(
        name="the blocked signals",
        get=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        put=lambda before: signal.pthread_sigmask(signal.SIG_SETMASK, before),
    ),
    Part(
        name="the alarm",
        get=lambda: {name: "set" if signal.getitimer(number)[0] else "off" for name, number in _ALARMS.items()},
        put=_put_alarms,
    ),
    Part(
        name="what is called at every step of Python",
        get=lambda: (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
        put=_put_tracing,
        private=True,
    ),
    Part(
        name="the handler of fatal errors",
        get=lambda: "on" if faulthandler.is_enabled() else "off",
        put=lambda before: faulthandler.enable(2) if before == "on" else faulthandler.disable(),
    ),
    Part(name="the level of all loggers", get=lambda: logging.root.manager.disable, put=logging.disable),
    Part(
        name="the calls of the garbage collector",
        get=collector.calls,
        put=collector.put_calls,
        imports_add=True,
        keeps_added=True,
        private=True,
    ),
    _list("the warnings filters", warnings, "filters", keeps_added=False),
    _list("sys.path", sys, "path", keeps_added=True),
    _list("sys.meta_path", sys, "meta_path", keeps_added=True),
    _list("sys.path_hooks", sys, "path_hooks", keeps_added=True),
    Part(name="the limits of the interpreter", get=_interpreter, put=_put_interpreter),
    Part(name="the resource limit", get=_limits, put=_put_limits),
    Part(name="the garbage collector", get=_collector, put=_put_collector),
    Part(
        name="the locale",
        get=lambda: locale.setlocale(locale.LC_ALL),
        put=lambda before: locale.setlocale(locale.LC_ALL, before),
    ),
    Part(name="the size of the stack of threads", get=threading.stack_size, put=threading.stack_size),
    Part(name="the standard streams", get=_streams, put=_put_streams, private=True),
    Part(name="the open files", get=lambda: _open_files(_CHANNELS)),
    Part(name="the module", get=_modules, put=_put_modules, imports_add=True, keeps_added=True),
    Part(name="python's random", get=random.getstate, put=random.setstate, compared=False),
)
if hasattr(os, "sched_getaffinity"):
    PARTS += (
        Part(
            name="the CPUs that it may use",
            get=lambda: os.sched_getaffinity(0),
            put=lambda before: os.sched_setaffinity(0, before),
        ),
    )
