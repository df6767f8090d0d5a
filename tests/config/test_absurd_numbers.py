"""Numbers that make no sense: a sentence that names the key, never a traceback, never a hang."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from mlt.config import parse_config
from mlt.engine.setup import prepare
from mlt.errors import UserError

ABSURD = (1 << 53, -(1 << 53), 1e300, 1e-300)


def numbers(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all numbers in nested values."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from numbers(value, (*path, key))
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield path


SECTIONS: dict[str, dict[str, Any]] = {
    "plain": {"training": {"workers": 1}, "sampler": {"name": "class_aware"}},
    "published": {
        "transforms": {"name": "published"},
        "model": {"head": {"name": "projection"}, "mean": [0.5] * 3, "std": [0.5] * 3},
        "loss": {"preset": "db_focal"},
        "optimizer": {"name": "sgd"},
        "schedule": {"name": "multistep", "milestones": [1], "warmup_updates": 1},
        "sampler": {"name": "repeat_factor"},
        "training": {"ema_decay": 0.5, "clip_grad_norm": 1.0},
        "data": {"longtail": {}},
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_every_number_of_a_configuration(name: str, tiny_values: dict[str, Any]) -> None:
    values = copy.deepcopy(tiny_values)
    for section, keys in SECTIONS[name].items():
        values[section] = keys if "name" in keys or "preset" in keys else values[section] | keys
    values = parse_config(values).model_dump(mode="json")
    refused, raised = 0, []
    for path in numbers(values):
        for absurd in ABSURD:
            changed = copy.deepcopy(values)
            section = changed
            for key in path[:-1]:
                section = section[key]
            section[path[-1]] = absurd
            try:
                prepare(parse_config(changed), None)
            except UserError:
                refused += 1
            except Exception as error:
                raised.append(f"{'.'.join(map(str, path))} = {absurd}: {error!r}")
    assert not raised
    assert refused > 30
