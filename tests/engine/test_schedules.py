"""Learning rates before each update, against the values worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mlt.config.training import ScheduleConfig
from mlt.engine.optim import build_scheduler


def rates(epochs: int, updates_per_epoch: int, **schedule: Any) -> list[float]:
    """The rate before each update, and after the last, from a full rate of 1."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    config = ScheduleConfig(**schedule)
    scheduler = build_scheduler(config, optimizer, 1.0, epochs, updates_per_epoch)
    found = []
    for update in range(epochs * updates_per_epoch + 1):
        scheduler.step_update(update)
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # One cycle: up for 2 of 10 updates, then down to the end.
        (
            {"warmup_epochs": 0.4, "warmup_from": 0.2},
            [0.2, 0.6, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0],
        ),
        ({"warmup_updates": 0, "min_lr": 0.5}, [1 - 0.05 * k for k in range(11)]),
        # The warm-up outlasts the run, which the run's notes warn of.
        ({"warmup_updates": 20}, [k / 20 for k in range(11)]),
    ],
)
def test_linear(schedule: dict[str, Any], expected: list[float]) -> None:
    assert rates(2, 5, name="linear", **schedule) == pytest.approx(expected)


def test_the_class_balanced_loss_papers_schedule() -> None:
    """Epochs 1 to 5 warm up; the rate falls to a hundredth after epochs 160 and 180."""
    found = rates(200, 3, name="multistep", milestones=(160, 180), decay_rate=0.01, warmup_epochs=5)
    assert found[:16] == pytest.approx([k / 15 for k in range(16)])
    assert found[16:480] == [1.0] * 464
    assert found[480:540] == pytest.approx([1e-2] * 60)
    assert found[540:] == pytest.approx([1e-4] * 61)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"warmup_updates": 3, "warmup_epochs": 1}, "warmup_updates or warmup_epochs"),
        ({"name": "linear", "cycles": 2}, "cycles belong to cosine"),
        ({"name": "linear", "milestones": [2]}, "milestones belong to multistep"),
    ],
)
def test_what_does_not_go_together(schedule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ScheduleConfig(**schedule)
