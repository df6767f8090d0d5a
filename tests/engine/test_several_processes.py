"""Processes that train, evaluate and predict together: the numbers of one, no endless wait."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from several_processes import cases, differences

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml
from mlt.engine.loggers import flat
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

pytestmark = pytest.mark.slow

# Both variants of a loss go the same way; that of unknown labels asks for more.
CHOSEN = [
    case
    for case in cases()
    if case.partly_known or case.stop_after or not case.settings or "loss" not in case.settings[0]
]


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    """After 20 updates, for every loss and sampler, and through a change of their number."""
    found = differences(tmp_path, CHOSEN)
    assert len(found) > 40
    bounds = {name: 1e-2 if name == "bf16" else 1e-5 for name in found}
    assert not {name: pair for name, pair in found.items() if max(pair) > bounds[name]}


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    tiny_values["training"] |= {"epochs": 2, "batch_size": 8}
    tiny_values["optimizer"] = {"name": "sgd", "lr": 0.01}
    return tiny_values


@pytest.fixture
def file(values: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(dump_yaml(values))
    return path


def torchrun(*arguments: object, restarts: int = 0) -> subprocess.Popen[str]:
    options = ["--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts)]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, "-m", "mlt"]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return output, errors


def same_weights(one: Path, other: Path) -> bool:
    a, b = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    return all(np.allclose(a[name], b[name], atol=1e-4) for name in a)


def test_train_evaluate_and_predict(file: Path, tmp_path: Path, tiny_source: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["train", str(file), "--output", str(one)]) == 0
    kept = ["--set", "data.cache=ram"]  # of which each process decodes a half, for both
    output, errors = finished(torchrun("train", file, "--output", two, *kept))
    assert "train: 48 of 48 images are decoded once" in errors
    assert output.count("total") == 1, "only one of them prints the result"
    assert errors.count("epoch 2/2") == 1
    assert same_weights(one, two)
    results = [Predictions.load(folder / "predictions.npz") for folder in (one, two)]
    assert results[0].image_ids.tolist() == results[1].image_ids.tolist()
    np.testing.assert_allclose(results[0].logits, results[1].logits, atol=1e-3)

    # With views, and an ensemble, which are shared out alike.
    both = [one / "last.safetensors", two / "last.safetensors"]
    for command in (
        ["evaluate", file, *both, "--set", "evaluation.views=[whole,five_crops]"],
        ["predict", *both, tiny_source / "test", "--views", "whole, mirror", "--batch-size", "7"],
    ):
        extra = ["--output"] if command[0] == "evaluate" else ["--format", "csv", "--output"]
        for name in ("alone", "shared"):
            arguments = [*command, *extra, tmp_path / f"{command[0]} {name}"]
            if name == "alone":
                assert main([str(argument) for argument in arguments]) == 0
            else:
                finished(torchrun(*arguments))
    alone, shared = (
        Predictions.load(tmp_path / f"evaluate {name}" / "predictions.npz")
        for name in ("alone", "shared")
    )
    assert alone.image_ids.tolist() == shared.image_ids.tolist()
    np.testing.assert_allclose(alone.logits, shared.logits, atol=1e-5)
    alone_csv, shared_csv = (
        (tmp_path / f"predict {name}").read_text().splitlines() for name in ("alone", "shared")
    )
    assert len(alone_csv) == 33
    assert [line.split(",")[0] for line in alone_csv] == [line.split(",")[0] for line in shared_csv]


def test_an_error_in_one_process_ends_all_with_its_message(
    file: Path, values: dict[str, Any], tiny_source: Path, tmp_path: Path
) -> None:
    image = next((tiny_source / "train").iterdir())
    broken = tmp_path / "data"
    broken.mkdir()
    for name in ("annotations", "test"):
        (broken / name).symlink_to(tiny_source / name)
    (broken / "train").mkdir()
    for path in (tiny_source / "train").iterdir():
        (broken / "train" / path.name).symlink_to(path)
    (broken / "train" / image.name).unlink()
    (broken / "train" / image.name).write_bytes(image.read_bytes()[:60])
    process = torchrun("train", file, "--set", f"data.root={broken}")
    errors = process.communicate(timeout=240)[1]
    assert process.returncode != 0
    said = [line for line in errors.splitlines() if line.startswith(("error", "process 1: error"))]
    assert len(said) == 1
    assert image.name in said[0]
    assert "Traceback" not in errors.split("ChildFailedError")[0].split("torch/distributed")[0]

    finished(torchrun("train", file, "--set", f"data.root={broken}", "data.on_image_error=skip"))
    log = RunFolder(values["output"]).log.read_text()
    assert image.name in log
    assert "1 training images could not be read" in log


def test_a_stop_saves_and_another_number_of_processes_goes_on(
    file: Path, values: dict[str, Any]
) -> None:
    folder = RunFolder(values["output"])
    longer = ["training.epochs=15", "training.workers=1"]
    process = torchrun("train", file, "--set", *longer)
    wait_for(folder, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=240)
    assert "--resume continues the run" in errors
    assert folder.recorded_epochs() < 15
    assert main(["train", str(file), "--resume", "--set", *longer]) == 0
    assert [record["epoch"] for record in folder.read_history()] == list(range(1, 16))


def test_torchrun_starts_again_where_a_killed_process_left_off(
    file: Path, values: dict[str, Any]
) -> None:
    folder = RunFolder(values["output"])
    process = torchrun("train", file, "--overwrite", "--set", "training.epochs=15", restarts=1)
    wait_for(folder, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    _, errors = finished(process)
    epochs = [record["epoch"] for record in folder.read_history()]
    assert epochs == list(range(1, 16))
    starts = [line for line in errors.splitlines() if line.startswith("training on")]
    assert len(starts) == 2
    assert errors.count("epoch 1/15") == 1, "it went on, and did not begin again"


def wait_for(folder: RunFolder, process: subprocess.Popen[str]) -> None:
    """Until the run has saved a state."""
    started = time.monotonic()
    while not folder.has_state and time.monotonic() - started < 120:
        assert process.poll() is None
        time.sleep(0.05)


def test_what_is_work_for_one_process_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main(["compare", str(file), "--output", "runs"]) == 2
    assert "work for one process" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert main(["compare", str(file), "--output", "runs"]) == 2
    assert not capsys.readouterr().err


def test_a_batch_that_is_too_small_to_share(values: dict[str, Any]) -> None:
    from mlt.config import parse_config
    from mlt.engine.setup import prepare
    from mlt.errors import ConfigError
    from mlt.runtime.processes import Processes

    class Pretended(Processes):
        def together(self, main_first: bool = False) -> Any:
            from contextlib import nullcontext

            return nullcontext()

    values["training"]["batch_size"] = 3
    with pytest.raises(ConfigError, match=r"training\.batch_size: 4 processes share a batch of 3"):
        prepare(parse_config(values), None, None, Pretended(0, 4))


def test_two_processes_stop_early_where_one_does(
    values: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    data = values["data"]
    values["data"] = data | {"validation": data["test"], "test": data["train"]}
    values["training"] |= {"accumulate": 2, "early_stopping": {"patience": 2, "min_delta": 0.9}}
    values["evaluation"] |= {"every": {"updates": 2}}
    file.write_text(dump_yaml(values))
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["train", str(file), "--output", str(one)]) == 0
    finished(torchrun("train", file, "--output", two))
    expected, found = (RunFolder(path).read_history() for path in (one, two))
    assert [r["updates"] for r in found] == [r["updates"] for r in expected] == [2, 3, 4, 6]
    for a, b in zip(found, expected, strict=True):
        assert flat(a) == pytest.approx(flat(b), rel=1e-3), (a, b)
        assert a["grad_norm"]["max"] > 0 and "grad_noise_scale" in a
    endings = [json.loads(RunFolder(path).metrics.read_text()) for path in (one, two)]
    assert endings[0]["early_stopping"]["stopped"] and endings[0]["early_stopping"]["updates"] == 6
    assert endings[0]["early_stopping"] == endings[1]["early_stopping"]
    assert main(["train", str(file), "--output", str(two), "--resume"]) == 0
    assert len(RunFolder(two).read_history()) == 4  # one process does not go on either
