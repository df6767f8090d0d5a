"""What a pass over batches says in a log."""

from __future__ import annotations

import math

import pytest

from mlt.runtime import progress
from mlt.runtime.progress import Progress


def test_a_line_tells_the_time_left_of_the_pass_and_of_the_run(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    caplog.set_level("INFO", logger="mlt")
    with Progress("epoch 1/2", 4, run_left=lambda: "9 min 0 s left") as shown:
        clock[0] = 40.0
        shown.step(8, loss=math.nan, lr=0.5)  # the loss is still on the device
        clock[0] = 80.0
        shown.step(8, loss=0.25, lr=0.5)
    assert caplog.messages == [
        "epoch 1/2: batch 1/4 lr 0.5 0 images/s, 2 min 0 s left, 9 min 0 s left of the run",
        "epoch 1/2: batch 2/4 loss 0.25 lr 0.5 0 images/s, 1 min 20 s left, "
        "9 min 0 s left of the run",
    ]
