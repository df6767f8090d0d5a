"""Workers outlive the signals of their group while the main process needs them, and not longer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

import pytest

from mlt.data.worker_signals import WorkerSignals

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs Unix")


def work(signals: WorkerSignals, ready: Connection) -> None:
    signals(0)
    ready.send(True)
    while True:
        time.sleep(60)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_ends_when_it_is_no_longer_needed(method: str) -> None:
    context = multiprocessing.get_context(method)
    signals = WorkerSignals()
    here, there = context.Pipe()
    worker = context.Process(target=work, args=(signals, there), daemon=True)
    worker.start()
    assert here.poll(60) and here.recv()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid or 0, number)
    worker.join(3.5)  # it had been three seconds
    assert worker.is_alive()
    del signals
    worker.join(10)
    assert worker.exitcode == 1


def test_a_worker_that_nobody_needs_ends_at_once() -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    signals = WorkerSignals()
    worker = context.Process(target=work, args=(signals, there), daemon=True)
    worker.start()
    assert here.poll(60) and here.recv()
    del signals
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 1
