"""Signals: the first is counted, the second raises."""

from __future__ import annotations

import signal
import threading

import pytest

from ltbench.core.signals import SIGNALS, StopNow, catch_signals, is_request_to_stop


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_counted_and_the_second_stops(number):
    with catch_signals() as signals:
        assert not signals
        signal.raise_signal(number)
        assert signals
        with pytest.raises(StopNow):
            signal.raise_signal(number)


def test_an_inner_block_counts_alone_and_restores_the_handlers():
    before = signal.getsignal(signal.SIGINT)
    with catch_signals() as outer:
        with catch_signals() as inner:
            signal.raise_signal(signal.SIGINT)
        assert (inner.count, outer.count) == (1, 0)
        signal.raise_signal(signal.SIGINT)
        assert outer.count == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_of_the_main_thread_nothing_changes():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def inside():
        with catch_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.usefixtures("interrupts")
def test_only_a_signal_that_python_would_raise_is_a_request_to_stop():
    assert is_request_to_stop(KeyboardInterrupt())
    assert not any(map(is_request_to_stop, (StopNow(), SystemExit(1), BaseException(), ValueError())))
    with catch_signals() as signals:
        assert not is_request_to_stop(KeyboardInterrupt())
        signals.add()
        assert not is_request_to_stop(StopNow())
        with pytest.raises(StopNow) as second:
            signals.add()
        assert is_request_to_stop(second.value)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        assert not is_request_to_stop(KeyboardInterrupt())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
