"""What the first, an echoed and a second signal do."""

from __future__ import annotations

import os
import signal
import time

import pytest

from mlt.runtime import interrupt
from mlt.runtime.interrupt import GracefulStop


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python calls the handler between two instructions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_told_twice_is_one_request(number: signal.Signals) -> None:
    with GracefulStop() as stop:
        assert not stop.requested
        send(number)
        assert stop.requested
        send(number)  # raises nothing
        send(signal.SIGTERM)


def test_a_second_signal_interrupts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "_ECHO", 0.05)
    with GracefulStop() as stop:
        send(signal.SIGINT)
        time.sleep(0.06)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert stop.requested


def test_the_handlers_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with GracefulStop():
        pass
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
