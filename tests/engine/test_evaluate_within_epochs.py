"""Evaluation after every so many updates: its lines, the best weights, and going on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import mlt
from mlt.config import parse_config
from mlt.config.training import EvaluationConfig
from mlt.engine import loop as loop_module
from mlt.engine.watch import Watch
from mlt.errors import ConfigError
from mlt.run_folder import RunFolder


class Killed(BaseException):
    """Ends a run where a kill would; nothing in mlt catches it to save."""


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Four updates in each of two epochs, with averaged weights and a loss that has a state."""
    training = {"epochs": 2, "batch_size": 12, "ema_decay": 0.9, "save_every": {"updates": 2}}
    return tiny_values | {
        "training": tiny_values["training"] | training,
        "evaluation": tiny_values["evaluation"] | {"every": {"updates": 3}},
        "loss": {"preset": "eqlv2"},
    }


def test_lines_of_evaluations_within_epochs(values: dict[str, Any]) -> None:
    told: list[dict[str, Any]] = []
    mlt.train(parse_config(values), on_epoch=told.append)
    history = RunFolder(values["output"]).read_history()
    assert told == history
    where = [(r["epoch"], r.get("part_of_epoch"), r["updates"]) for r in history]
    assert where == [(0, 0.75, 3), (1, None, 4), (1, 0.5, 6), (2, None, 8)]
    assert [r["mAP"] is None for r in history] == [False, True, False, False]
    assert all(r["loss"] > 0 for r in history)


def test_evaluation_within_epochs_does_not_change_the_training(
    values: dict[str, Any], tmp_path: Path
) -> None:
    values["training"] |= {"ema_decay": None}  # so that the model in training is evaluated
    mlt.train(parse_config(values))
    other = values | {"output": str(tmp_path / "by_epoch"), "evaluation": {"every": 1}}
    mlt.train(parse_config(other))
    one, two = (load_file(RunFolder(v["output"]).last) for v in (values, other))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("killed", "told_again"), [(3, [3, 4, 6, 8]), (4, [6, 8]), (6, [8]), (7, [8])]
)
def test_a_run_that_goes_on_neither_repeats_nor_loses_an_evaluation(
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed: int,
    told_again: list[int],
) -> None:
    """Killed before update `killed` + 1; states are saved after updates 2, 4, 6 and 8."""
    whole = values | {"output": str(tmp_path / "whole")}
    mlt.train(parse_config(whole))
    original = loop_module._update

    def killing(training: Any, settings: Any) -> None:
        if training.position.updates == killed:
            raise Killed
        original(training, settings)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop_module, "_update", killing)
        mlt.train(parse_config(values))
    told: list[dict[str, Any]] = []
    mlt.train(parse_config(values), resume=True, on_epoch=told.append)
    assert [line["updates"] for line in told] == told_again
    one, two = RunFolder(whole["output"]), RunFolder(values["output"])
    assert two.read_history() == one.read_history()
    for file in ("last.safetensors", "best.safetensors"):
        a, b = load_file(one.path / file), load_file(two.path / file)
        assert all(torch.equal(a[key], b[key]) for key in a), file


def test_an_evaluation_that_a_stop_left_out_is_made_up_for(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of update 3 is there, and its line is not: a kill between the two."""
    values["training"] |= {"save_every": {"updates": 3}}
    original = loop_module._update

    def killing(training: Any, settings: Any) -> None:
        if training.position.updates == 3:
            raise Killed
        original(training, settings)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Watch, "line_is_due", False)
        patch.setattr(loop_module, "_update", killing)
        mlt.train(parse_config(values))
    folder = RunFolder(values["output"])
    assert folder.has_state and not folder.read_history()
    mlt.train(parse_config(values), resume=True)
    assert [r["updates"] for r in folder.read_history()] == [3, 4, 6, 8]


def test_epochs_as_a_number_or_by_name() -> None:
    assert EvaluationConfig().every_epochs == 1
    assert EvaluationConfig.model_validate({"every": {"epochs": 3}}).every_epochs == 3
    by_updates = EvaluationConfig.model_validate({"every": {"updates": 7}})
    assert (by_updates.every_epochs, by_updates.every_updates) == (0, 7)


@pytest.mark.parametrize("every", [-1, {}, {"epochs": 1, "updates": 2}, {"updates": 0}])
def test_either_updates_or_epochs(values: dict[str, Any], every: Any) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.every"):
        parse_config(values | {"evaluation": {"every": every}})
