"""Workers outlive the signals of their group while the main process needs them, and not longer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

import pytest
from torch.utils.data import DataLoader

from mlt.data.worker_signals import WorkerSignals, iterate

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


class SlowToPrepare(WorkerSignals):
    """A worker that the signals of its group find before it is prepared for them."""

    def __call__(self, worker: int) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        super().__call__(worker)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_signals_wait_until_a_worker_is_prepared(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: method)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    loader = DataLoader(
        range(6),  # type: ignore[arg-type]
        num_workers=1,
        worker_init_fn=SlowToPrepare(),
        multiprocessing_context=method,
    )
    assert [int(item) for item in iterate(loader)] == list(range(6))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
