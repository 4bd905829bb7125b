"""The state of numpy, and of modules of Python that are imported as needed: see `ltbench.core.process_state`.

Nothing here imports them, because a library that is not imported has no state.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

from ltbench.core.state_part import Part

_OF_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def parts() -> Iterator[Part]:
    """Yield the parts of those that are imported."""
    for name, of_module in _PARTS.items():
        if module := sys.modules.get(name):
            yield from of_module(module)


@cache
def _of_numpy(np: Any) -> tuple[Part, ...]:
    handling = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
    return (
        Part(
            name="numpy's handling of the error", get=np.geterr, put=lambda before: np.seterr(**before), first=handling
        ),
        Part(name="numpy's call on errors", get=np.geterrcall, put=np.seterrcall, first=None, private=True),
        Part(
            name="numpy's printing of",
            get=np.get_printoptions,
            put=lambda before: np.set_printoptions(**before),
        ),
        Part(
            name="numpy's size of buffers",
            get=np.getbufsize,
            put=np.setbufsize,
            first=8192,
        ),
        Part(
            name="numpy.random",
            get=np.random.get_state,
            put=np.random.set_state,
            compared=False,
        ),
    )


@cache
def _of_decimal(decimal: Any) -> tuple[Part, ...]:
    def get() -> dict[str, Any]:
        context = decimal.getcontext()
        return {name: getattr(context, name) for name in _OF_DECIMAL} | {"traps": dict(context.traps)}

    def put(before: Mapping[str, Any]) -> None:
        context = decimal.getcontext()
        for name in _OF_DECIMAL:
            setattr(context, name, before[name])
        context.traps.update(before["traps"])

    first = {"prec": 28, "rounding": "ROUND_HALF_EVEN", "Emin": -999999, "Emax": 999999, "capitals": 1, "clamp": 0}
    first |= {"traps": dict(decimal.Context(**first).traps)}
    return (Part(name="the decimal context", get=get, put=put, first=first),)


@cache
def _of_socket(socket: Any) -> tuple[Part, ...]:
    get, put = socket.getdefaulttimeout, socket.setdefaulttimeout
    return (Part(name="the time-out of sockets", get=get, put=put, first=None),)


@cache
def _of_multiprocessing(processes: Any) -> tuple[Part, ...]:
    usual = processes.get_all_start_methods()[0]
    # None until the first process, which is no change.
    get = lambda: processes.get_start_method(allow_none=True) or usual  # noqa: E731
    put = partial(processes.set_start_method, force=True)
    return (Part(name="the start method of processes", get=get, put=put, first=usual),)


@cache
def _of_tempfile(tempfile: Any) -> tuple[Part, ...]:
    get, put = tempfile.gettempdir, partial(setattr, tempfile, "tempdir")
    return (Part(name="the temporary folder", get=get, put=put, private=True),)


_PARTS = {
    "numpy": _of_numpy,
    "decimal": _of_decimal,
    "socket": _of_socket,
    "multiprocessing": _of_multiprocessing,
    "tempfile": _of_tempfile,
}
