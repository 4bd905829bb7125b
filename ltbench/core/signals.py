"""Handles SIGINT and SIGTERM as requests to stop, instead of exceptions at any point of the program."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopNow(BaseException):
    """Raised at the second signal: stop without finishing the running jobs."""


def is_request_to_stop(error: BaseException) -> bool:
    """Whether an error raised in a plugin's code is a signal to this process, not an error of the plugin.

    Python raises `KeyboardInterrupt` only in the main thread, and only if SIGINT is neither handled, as in a run, nor
    blocked, as in workers; `StopNow` comes from the second of the signals that are counted. Otherwise it is the plugin's
    error. `SystemExit` never comes from a signal.
    """
    # Its type: a technique may raise an exception whose `__class__` raises.
    if not issubclass(type(error), KeyboardInterrupt):
        return issubclass(type(error), StopNow) and any(signals.count > 1 for signals in _counting)
    return (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    )


_counting: list[SignalCount] = []
"""What counts the signals of this process at the moment."""


class SignalCount:
    """Counts the signals received."""

    def __init__(self) -> None:
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self) -> None:
        """Count a signal; raise `StopNow` for all but the first."""
        self.count += 1
        if self.count > 1:
            raise StopNow


@contextlib.contextmanager
def catch_signals() -> Iterator[SignalCount]:
    """Count SIGINT and SIGTERM in the block instead of ending the process; the second raises `StopNow`.

    Only in the main thread; others cannot set handlers.
    """
    signals = SignalCount()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, lambda *_: signals.add()) for number in SIGNALS}
    _counting.append(signals)
    try:
        yield signals
    finally:
        _counting.remove(signals)
        for number, handler in before.items():
            signal.signal(number, handler)
