"""Runs that were cut short, set aside or moved: what may go on, and what is kept."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from mlt.config import parse_config
from mlt.engine import loop as loop_module
from mlt.engine import train as train_module
from mlt.engine.compare import Plan, plan_runs, train_missing
from mlt.engine.train import train
from mlt.errors import ConfigError, OutputExistsError, TrainingError
from mlt.run_folder import RunFolder


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    tiny_values["training"] |= {"epochs": 1}
    return tiny_values


@pytest.fixture
def finished(values: dict[str, Any]) -> RunFolder:
    """The folder of a finished run."""
    train(parse_config(values))
    return RunFolder(values["output"])


def content(folder: RunFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.existing}


def test_a_run_that_a_killed_overwrite_had_set_aside_comes_back(
    finished: RunFolder, values: dict[str, Any]
) -> None:
    before = content(finished)
    previous = finished.path / ".previous"
    previous.mkdir()
    for file in finished.existing:
        file.rename(previous / file.name)
    finished.config.write_text("what the killed run had written\n")
    with pytest.raises(OutputExistsError, match="holds an earlier run"):
        train(parse_config(values))
    assert content(finished) == before
    assert not previous.exists()


def test_results_of_an_earlier_end_go_when_training_goes_on(
    finished: RunFolder, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop_module._update

    def interrupting(*arguments: Any) -> None:
        original(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop_module, "_update", interrupting)
    longer = parse_config({**values, "training": {**values["training"], "epochs": 4}})
    with pytest.raises(KeyboardInterrupt):
        train(longer, resume=True)
    assert not finished.metrics.exists() and not finished.predictions.exists()
    monkeypatch.undo()
    train(longer, resume=True)
    assert finished.metrics.exists() and finished.recorded_epochs() == 4


def test_a_run_is_not_resumed_to_an_epoch_that_it_has_passed(
    values: dict[str, Any],
) -> None:
    values["training"]["epochs"] = 2
    train(parse_config(values))
    folder = RunFolder(values["output"])
    before = content(folder)
    values["training"]["epochs"] = 1
    with pytest.raises(ConfigError, match=r"training\.epochs is 1, but .* has trained 2 epochs"):
        train(parse_config(values), resume=True)
    assert content(folder) == before


def test_results_of_fewer_epochs_are_not_taken_for_finished(
    values: dict[str, Any], tmp_path: Path
) -> None:
    (plan,) = plan_runs({"a": parse_config(values)}, [0], tmp_path)
    train_missing([plan])
    assert plan.finished
    training = plan.config.training.model_copy(update={"epochs": 4})
    longer = Plan(plan.name, plan.config.model_copy(update={"training": training}))
    assert longer.begun and not longer.finished


def test_a_run_may_go_on_where_the_images_have_moved(
    finished: RunFolder, values: dict[str, Any], tmp_path: Path
) -> None:
    moved = shutil.copytree(values["data"]["root"], tmp_path / "moved")
    data = {**values["data"], "root": str(moved), "on_image_error": "skip"}
    training = {**values["training"], "epochs": 2}
    train(parse_config({**values, "data": data, "training": training}), resume=True)
    assert finished.recorded_epochs() == 2


def test_a_comparison_can_be_repeated_after_a_run_failed_in_its_first_epoch(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*arguments: Any) -> None:
        raise TrainingError("the loss is nan")

    configs = {"a": parse_config(values)}
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "train_epoch", diverge)
        assert train_missing(plan_runs(configs, [0], tmp_path)).failed
    assert train_missing(plan_runs(configs, [0], tmp_path)).runs == [tmp_path / "a-seed0"]


@pytest.mark.skipif(os.name == "nt", reason="the lock needs a POSIX system")
def test_a_folder_that_cannot_be_locked_is_trained_in_with_a_warning(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    train(parse_config(values))
    assert "cannot be locked (Function not implemented)" in caplog.text
