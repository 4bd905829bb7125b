"""SIGINT and SIGTERM as a request that is heard, instead of an exception wherever the program happens to be."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopNow(BaseException):
    """A signal that does not wait: the second one."""


class SignalCount:
    """How many signals came so far."""

    def __init__(self) -> None:
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self) -> None:
        """Count a signal; raise `StopNow` for every one but the first."""
        self.count += 1
        if self.count > 1:
            raise StopNow


@contextlib.contextmanager
def catch_signals() -> Iterator[SignalCount]:
    """Count SIGINT and SIGTERM inside the block instead of dying of them: the second one raises `StopNow`."""
    signals = SignalCount()
    with handle_signals(signals.add):
        yield signals


@contextlib.contextmanager
def handle_signals(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` for every SIGINT and SIGTERM inside the block. Only a main thread can; in others nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: act()) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
