"""The lock of a run folder goes with the process that trains, not with those that it started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mlt.errors import OutputExistsError
from mlt.run_folder import RunFolder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Unix")


def train(folder: Path, started: Connection) -> None:
    """Hold the lock, beside a process that was forked meanwhile as those that load images are."""
    with RunFolder(folder).locked():
        worker = os.fork()
        if worker:
            started.send(worker)
        time.sleep(60)


def test_a_worker_that_outlives_a_killed_run_does_not_keep_it_locked(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    run = context.Process(target=train, args=(tmp_path, there))
    run.start()
    worker = here.recv()
    try:
        with (
            pytest.raises(OutputExistsError, match="another process"),
            RunFolder(tmp_path).locked(),
        ):
            pass
        run.kill()
        run.join()
        os.kill(worker, 0)  # it is there still
        with RunFolder(tmp_path).locked():
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
