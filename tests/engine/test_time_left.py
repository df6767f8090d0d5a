"""The time that a run has left, from a clock that is moved by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mlt.config import parse_config
from mlt.engine.setup import prepare
from mlt.engine.time_left import TimeLeft, evaluations_left


def test_updates_evaluations_and_results(tiny_values: dict[str, Any]) -> None:
    """Four updates of 12 images per epoch; 32 validation images and 48 test images."""
    data = tiny_values["data"]
    values = tiny_values | {
        "data": data | {"validation": data["test"], "test": data["train"]},
        "training": tiny_values["training"] | {"epochs": 3, "batch_size": 12},
    }
    setup, clock = prepare(parse_config(values), None), [100.0]
    left = TimeLeft(setup, now=lambda: clock[0])
    position = setup.training.position
    assert left.seconds() is None and left.in_words() == ""

    position.updates, clock[0] = 2, 124.0  # an update takes 12 s; an image is thought to take 1 s
    assert left.seconds() == pytest.approx(10 * 12 + 3 * 32 + 48)
    position.updates, position.epoch, clock[0] = 4, 1, 148.0
    with left.evaluation():
        clock[0] += 64.0  # 2 s per image
    position.updates = 5
    clock[0] += 12.0
    assert left.seconds() == pytest.approx(7 * 12 + 2 * 64 + 48 * 2)
    assert left.in_words() == "5 min 8 s left"
    position.updates, position.epoch = 12, 3
    assert left.seconds() == pytest.approx(48 * 2)


@pytest.mark.parametrize(
    ("every", "done", "expected"),
    [
        (1, (0, 0), 4),
        (1, (3, 30), 1),
        (3, (0, 0), 2),  # after epochs 3 and 4
        (3, (3, 35), 1),
        (0, (2, 20), 1),
        ({"updates": 15}, (0, 0), 3),  # after updates 15, 30 and 40
        ({"updates": 15}, (1, 15), 2),
        ({"updates": 20}, (0, 0), 2),
        ({"updates": 99}, (0, 0), 1),
        (1, (4, 40), 0),
    ],
)
def test_how_many_evaluations(
    tiny_values: dict[str, Any], every: Any, done: tuple[int, int], expected: int
) -> None:
    values = tiny_values | {"training": tiny_values["training"] | {"epochs": 4}}
    config = parse_config(values | {"evaluation": {"every": every}})
    assert evaluations_left(config, *done, 40) == expected
