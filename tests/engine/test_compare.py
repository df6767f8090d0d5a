"""Several configurations over several seeds: nothing is trained twice, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlt.config import Config, load_config, parse_config
from mlt.engine import compare
from mlt.engine.compare import plan_runs, train_missing
from mlt.engine.train import train as train_run
from mlt.errors import ConfigError, DataError, OutputExistsError, TrainingError
from mlt.losses import create_loss


@pytest.fixture
def configs(tiny_values: dict[str, Any]) -> dict[str, Config]:
    tiny_values["training"] = {"epochs": 2, "batch_size": 16, "workers": 0}
    focal = parse_config(tiny_values)
    return {"focal": focal, "bce": parse_config({**tiny_values, "loss": {}})}


def test_trains_what_is_missing_and_nothing_twice(
    configs: dict[str, Config], tmp_path: Path
) -> None:
    plans = plan_runs(configs, range(2), tmp_path / "all")
    names = [plan.name for plan in plans]
    assert names == ["focal-seed0", "bce-seed0", "focal-seed1", "bce-seed1"]
    trained = train_missing(plans)
    assert [path.name for path in trained.runs] == names
    assert all(plan.finished for plan in plans)
    losses = {(tmp_path / "all" / name / "metrics.jsonl").read_text() for name in names}
    assert len(losses) == 4  # neither seed nor loss was forgotten

    files = [tmp_path / "all" / name / "metrics.json" for name in names]
    written = [file.stat().st_mtime_ns for file in files]
    more = plan_runs(configs, range(3), tmp_path / "all")
    assert [plan.finished for plan in more] == [True] * 4 + [False] * 2
    train_missing(more)
    assert [file.stat().st_mtime_ns for file in files] == written


def test_resumes_what_was_interrupted(
    configs: dict[str, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = plan_runs({"focal": configs["focal"]}, [0], tmp_path / "whole")
    train_missing([whole])
    (plan,) = plan_runs({"focal": configs["focal"]}, [0], tmp_path / "parts")
    # The first epoch alone, then what the interruption would have left.
    short = plan.config.training.model_copy(update={"epochs": 1})
    train_run(plan.config.model_copy(update={"training": short}))
    plan.folder.metrics.unlink()
    plan.folder.config.write_bytes(whole.folder.config.read_bytes())
    assert plan.begun
    # Killed between the two renames that replace the state, it has the one before alone.
    plan.folder.state.rename(plan.folder.state_before)
    assert plan.begun
    plan.folder.state_before.rename(plan.folder.state)
    calls = []

    def recorded(config: Config, resume: bool = False) -> object:
        calls.append(resume)
        return train_run(config, resume=resume)

    monkeypatch.setattr(compare, "train", recorded)
    train_missing([plan])
    assert calls == [True]
    assert plan.finished
    assert len(plan.folder.read_history()) == 2


def test_a_diverged_run_does_not_stop_the_others(
    configs: dict[str, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Config, resume: bool = False) -> object:
        if "focal" in config.output:
            raise TrainingError("the loss is not finite")
        return train_run(config, resume=resume)

    monkeypatch.setattr(compare, "train", train)
    trained = train_missing(plan_runs(configs, [0], tmp_path))
    assert trained.failed == {"focal-seed0": "the loss is not finite"}
    assert [path.name for path in trained.runs] == ["bce-seed0"]


def test_what_could_not_be_compared_is_refused_before_anything_is_trained(
    configs: dict[str, Config], embedded_digits: Path, tmp_path: Path
) -> None:
    focal = configs["focal"]
    data = focal.data.model_copy(update={"test": focal.data.train})
    other = focal.model_copy(update={"data": data})
    with pytest.raises(DataError, match=r"focal and other cannot be compared: .* different images"):
        plan_runs({"focal": focal, "other": other}, [0], tmp_path / "all")
    shipped = load_config("digits_mlt_bce", [f"data.root={embedded_digits}"])
    with pytest.raises(DataError, match="focal and digits cannot be compared, classes: only in"):
        plan_runs({"focal": focal, "digits": shipped}, [0], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_runs_of_other_configurations_are_refused_before_anything_is_trained(
    configs: dict[str, Config], tmp_path: Path
) -> None:
    train_missing(plan_runs({"a": configs["focal"]}, [0], tmp_path))
    with pytest.raises(ConfigError, match=r"another configuration \(loss.*differ"):
        plan_runs({"a": configs["bce"]}, [0], tmp_path)
    (tmp_path / "a-seed0" / "predictions.npz").unlink()
    for state in (tmp_path / "a-seed0").glob("training_state*"):
        state.unlink()
    with pytest.raises(OutputExistsError, match="cannot be resumed"):
        plan_runs({"a": configs["focal"]}, [0], tmp_path)


def test_a_run_with_a_loss_of_ones_own_is_not_taken_for_that_of_the_configuration(
    configs: dict[str, Config], tmp_path: Path
) -> None:
    (plan,) = plan_runs({"focal": configs["focal"]}, [0], tmp_path)
    train_run(plan.config, loss=create_loss("bce"))
    with pytest.raises(ConfigError, match=r"was handed its loss \(.*ElementwiseLoss\) from Python"):
        plan_runs({"focal": configs["focal"]}, [0], tmp_path)
