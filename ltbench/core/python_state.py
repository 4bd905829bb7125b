"""The state that Python and the system keep for a process: see `ltbench.core.process_state`."""

from __future__ import annotations

import gc
import locale
import os
import random
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Mapping, MutableSequence
from typing import Any

from ltbench.core.state_part import Part

_FLOATS = [sys.float_info.min, 0.5, 1.0, 1e-17]
"""In a list, so that the computation happens at run time and is not folded by the compiler."""
_LIMITS = {name: getattr(resource, name) for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE")}
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
_ENVIRON = os.environ
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


def _decimal() -> str:
    decimal = sys.modules.get("decimal")  # the context of a module that is not imported is the default one
    context = decimal.getcontext() if decimal else None
    return "prec 28, ROUND_HALF_EVEN" if context is None else f"prec {context.prec}, {context.rounding}"


def _put_decimal(before: str) -> None:
    precision, rounding = before.removeprefix("prec ").split(", ")
    context = sys.modules["decimal"].getcontext()
    context.prec, context.rounding = int(precision), rounding


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook, threading.excepthook


def _put_streams(before: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook, threading.excepthook = before


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


PARTS = (
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
        get=lambda: "set" if signal.getitimer(signal.ITIMER_REAL)[0] else "off",
        put=lambda before: before == "off" and signal.setitimer(signal.ITIMER_REAL, 0),
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
    Part(name="the decimal context", get=_decimal, put=_put_decimal),
    Part(name="the standard streams or hooks of sys", get=_streams, put=_put_streams, private=True),
    Part(name="python's random", get=random.getstate, put=random.setstate, compared=False),
)
