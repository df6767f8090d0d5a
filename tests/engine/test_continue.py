"""Runs that were cut short, set aside or moved: what may go on, and what is kept."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mlt.config import parse_config
from mlt.engine import epochs as epochs_module
from mlt.engine import loop as loop_module
from mlt.engine.compare import Plan, plan_runs, train_missing
from mlt.engine.train import train
from mlt.engine.training_state import load_training_state, save_training_state
from mlt.engine.watch import Watch
from mlt.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MissingFileError,
    OutputExistsError,
    TrainingError,
)
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


def test_one_call_starts_goes_on_and_ends(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values["training"] |= {"epochs": 2}
    config, folder = parse_config(values), RunFolder(values["output"])
    original = Watch.write_line

    def interrupting(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **options)

    monkeypatch.setattr(Watch, "write_line", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train(config, resume="auto")  # there is nothing yet: it starts
    assert folder.recorded_epochs() == 1
    monkeypatch.undo()
    result = train(config, resume="auto").total
    assert folder.recorded_epochs() == 2 and len(folder.read_history()) == 2
    state = folder.state.read_bytes()
    assert train(config, resume="auto").total == result  # finished: only evaluated
    assert folder.state.read_bytes() == state


def test_one_call_starts_anew_where_a_kill_left_no_state(values: dict[str, Any]) -> None:
    folder = RunFolder(values["output"])
    folder.path.mkdir(parents=True)
    folder.config.write_text("what a run wrote before it was killed\n")
    train(parse_config(values), resume="auto")
    assert folder.recorded_epochs() == 1


def test_one_call_goes_on_with_no_other_configuration_or_weights_alone(
    finished: RunFolder, values: dict[str, Any]
) -> None:
    before = content(finished)
    with pytest.raises(ConfigError, match=r"optimizer\.lr differ"):
        train(parse_config({**values, "optimizer": {"lr": 0.5}}), resume="auto")
    assert content(finished) == before
    finished.state.unlink()
    finished.state_before.unlink(missing_ok=True)
    with pytest.raises(OutputExistsError, match=r"earlier run; it has no state.*--overwrite"):
        train(parse_config(values), resume="auto")
    with pytest.raises(MissingFileError, match=r"nothing to resume.*--overwrite starts anew"):
        train(parse_config(values), resume=True)


def test_resume_takes_no_other_word(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="resume is 'always'; expected True, False or 'auto'"):
        train(parse_config(values), resume="always")  # type: ignore[arg-type]


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
        patch.setattr(epochs_module, "train_epoch", diverge)
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


@pytest.mark.parametrize("part", ["train", "test"])
def test_other_labels_of_the_same_counts_are_not_gone_on_with(
    tiny_root: Path, values: dict[str, Any], part: str
) -> None:
    values["data"] = {**values["data"], "root": str(tiny_root)}
    train(parse_config(values))
    file = tiny_root / "annotations" / f"instances_{part}.json"
    content = json.loads(file.read_text())
    classes: dict[int, set[int]] = {a["image_id"]: set() for a in content["annotations"]}
    for annotation in content["annotations"]:
        classes[annotation["image_id"]].add(annotation["category_id"])
    one, two = _two_with_other_labels(classes)
    for annotation in content["annotations"]:
        swapped = {one: two, two: one}
        annotation["image_id"] = swapped.get(annotation["image_id"], annotation["image_id"])
    file.write_text(json.dumps(content))
    longer = parse_config({**values, "training": {**values["training"], "epochs": 2}})
    with pytest.raises(DataError, match="training data" if part == "train" else "test data"):
        train(longer, resume=True)


def _two_with_other_labels(classes: dict[int, set[int]]) -> tuple[int, int]:
    first = next(iter(classes))
    return first, next(i for i, found in classes.items() if found != classes[first])


def test_files_that_only_inform_stop_nothing(
    finished: RunFolder, values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    finished.environment.write_bytes(b"\xff{torn")
    with finished.history.open("ab") as file:
        file.write(b'\xff\xfe{"epoch": 7}\n{"epoch": "one"}\n[]\n{"epoch": 1, "loss"')
    longer = parse_config({**values, "training": {**values["training"], "epochs": 2}})
    train(longer, resume=True)
    assert "environment.json is damaged" in caplog.text
    assert [record["epoch"] for record in finished.read_history()] == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        {"position": {"epoch": -1}},
        {"position": {"epoch": 1, "gone": 2}},
        {"position": None},
        {"model": {}},
        {"optimizer": {"state": {}}},
        {"rng": None},
        {"scheduler_of_another_version": 1, "loss": {"focusing.gone": torch.zeros(1)}},
    ],
)
def test_foreign_states_are_named(
    finished: RunFolder, values: dict[str, Any], damage: dict[str, Any]
) -> None:
    state = torch.load(finished.state, weights_only=True) | damage
    torch.save(state, finished.state)
    longer = parse_config({**values, "training": {**values["training"], "epochs": 2}})
    with pytest.raises(CheckpointError, match="not a state of this run"):
        train(longer, resume=True)


def test_a_full_disk_while_the_state_is_written_is_an_os_error(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = tmp_path / "state.pt"
    save_training_state(file, {"epoch": 1})
    content = file.read_bytes()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
        with pytest.raises(OSError, match="too large"):
            save_training_state(file, {"weights": torch.zeros(1 << 16)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert file.read_bytes() == content and list(tmp_path.iterdir()) == [file]


def test_no_flipped_bit_of_a_state_is_gone_on_from(tmp_path: Path) -> None:
    file, cpu = tmp_path / "state.pt", torch.device("cpu")
    weights = torch.randn(20, 20)
    save_training_state(file, {"weights": weights, "epoch": 3})
    content = file.read_bytes()
    for bit in np.random.default_rng(0).permutation(len(content) * 8)[:1000]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(damaged)
        try:
            state = load_training_state(file, cpu)
        except CheckpointError:
            continue
        assert torch.equal(state["weights"], weights) and state["epoch"] == 3
