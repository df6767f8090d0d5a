"""Each epoch's line in TensorBoard, Weights & Biases and MLflow, read back by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mlt
from mlt.config import Config, parse_config
from mlt.engine import loggers
from mlt.engine.loggers import flat
from mlt.errors import ConfigError
from mlt.run_folder import RunFolder


@pytest.fixture
def values(plain_values: dict[str, Any]) -> dict[str, Any]:
    return plain_values | {"training": {"epochs": 2, "batch_size": 48, "workers": 0}}


def longer(values: dict[str, Any]) -> Config:
    return parse_config(values | {"training": {**values["training"], "epochs": 3}})


def expected(config: Config) -> list[dict[str, float]]:
    return [flat(record) for record in RunFolder(config.output).read_history()]


def test_tensorboard(values: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    values["logging"] = ["tensorboard"]
    config = longer(values)
    mlt.train(parse_config(values))
    mlt.train(config, resume=True)
    events = EventAccumulator(str(RunFolder(config.output).tensorboard)).Reload()
    totals = [(event.step, event.value) for event in events.Scalars("mAP/total")]
    wanted = expected(config)
    assert [step for step, _ in totals] == [1, 2, 3]
    assert [value for _, value in totals] == pytest.approx([r["mAP/total"] for r in wanted])
    assert {"loss", "lr", "mAP/tail"} <= set(events.Tags()["scalars"])
    mlt.train(parse_config(values), overwrite=True)  # nothing of the run that was replaced is left
    events = EventAccumulator(str(RunFolder(config.output).tensorboard)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2]


def test_mlflow(values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    values["logging"] = ["mlflow"]
    config = longer(values)
    mlt.train(parse_config(values))
    mlt.train(config, resume=True)
    (run,) = mlflow.search_runs(output_format="list", search_all_experiments=True)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "mAP/total")
    wanted = [record["mAP/total"] for record in expected(config)]
    assert [m.step for m in history] == [1, 2, 3]
    assert [m.value for m in history] == pytest.approx(wanted)


def test_wandb(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    values["logging"] = ["wandb"]
    config = parse_config(values)
    logged: list[tuple[int, dict[str, float]]] = []
    original = wandb.Run.log

    def log(self: Any, data: dict[str, float], step: int) -> None:
        logged.append((step, data))
        original(self, data, step=step)

    monkeypatch.setattr(wandb.Run, "log", log)
    mlt.train(config)
    assert logged == list(enumerate(expected(config), start=1))
    (written,) = Path(config.output).glob("wandb/offline-run-*/run-*.wandb")
    assert written.stat().st_size > 0


def test_a_package_that_is_absent_is_named_before_anything_is_written(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    values["logging"] = ["wandb"]
    with pytest.raises(ConfigError, match=r"wandb is not installed; pip install 'mlt\[wandb\]'"):
        mlt.train(parse_config(values))
    assert not Path(values["output"]).exists()


def test_an_unknown_logger_is_a_problem_of_the_configuration(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"logging\.0: .*tensorboard"):
        parse_config(values | {"logging": ["tensorbord"]})
