"""States saved within an epoch: what a kill loses, and that going on gives the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mlt.config import parse_config
from mlt.config.training import SaveEvery
from mlt.config.yaml_text import dump_yaml
from mlt.engine import loop as loop_module
from mlt.engine.save_timer import SaveTimer
from mlt.engine.train import train
from mlt.errors import ConfigError
from mlt.run_folder import RunFolder


class Killed(BaseException):
    """Ends a run where a kill would; nothing in mlt catches it to save."""


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Twelve updates in each of two epochs, with averaged weights and a loss that has a state."""
    training = {"epochs": 2, "batch_size": 4, "ema_decay": 0.9, "save_every": {"updates": 3}}
    return tiny_values | {
        "training": tiny_values["training"] | training,
        "loss": {"preset": "eqlv2"},
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_within_epochs(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    config = parse_config(values)
    train(config)
    whole = RunFolder(tmp_path / "whole")
    RunFolder(config.output).path.rename(whole.path)

    original, rng = loop_module._update, np.random.default_rng(seed)
    lives, done = 0, []

    def killing(training: Any, settings: Any) -> None:
        nonlocal lives
        if lives == 0:
            raise Killed
        lives -= 1
        original(training, settings)
        done.append(training.position.updates)

    monkeypatch.setattr(loop_module, "_update", killing)
    kills = 0
    while True:
        lives, before = int(rng.integers(1, 9)), max(done, default=0)
        first = len(done)
        try:
            train(config, resume=RunFolder(config.output).has_state)
        except Killed:
            kills += 1
        # What an earlier life had done and this one did again is less than the interval.
        assert before - (done[first] - 1) <= 2
        if RunFolder(config.output).metrics.exists():
            break
    assert kills >= 3
    folder = RunFolder(config.output)
    assert folder.read_history() == whole.read_history()
    for name, tensor in load_file(whole.last).items():
        assert torch.equal(tensor, load_file(folder.last)[name]), name


def test_by_minutes() -> None:
    clock, saved = [0.0], []
    timer = SaveTimer(SaveEvery(minutes=2), lambda: saved.append(clock[0]), now=lambda: clock[0])
    for clock[0] in (30.0, 119.0, 121.0, 200.0, 240.0, 242.0, 1000.0):
        timer.after_update()
    assert saved == [121.0, 242.0, 1000.0]


def test_epochs_that_take_less_than_a_moment_are_not_all_saved() -> None:
    clock, saved = [0.0], []
    for every in (SaveEvery(minutes=2), SaveEvery(updates=100)):
        saved.clear()
        timer = SaveTimer(every, lambda: saved.append(clock[0]), now=lambda: clock[0])
        for clock[0] in (1.0, 2.0, 5.9, 6.1, 7.0, 30.0):
            timer.after_epoch(must=clock[0] == 7.0)
        if every.updates is None:
            assert saved == [1.0, 6.1, 7.0, 30.0]
    assert saved == [1.0, 2.0, 5.9, 6.1, 7.0, 30.0]


@pytest.mark.parametrize("every", [{}, {"updates": 2, "minutes": 1}, {"updates": 0}])
def test_either_updates_or_minutes(values: dict[str, Any], every: dict[str, Any]) -> None:
    values["training"]["save_every"] = every
    with pytest.raises(ConfigError, match="save_every"):
        parse_config(values)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_sigterm_to_all_processes_saves(values: dict[str, Any], tmp_path: Path) -> None:
    """As Slurm and `timeout` send it: the workers outlive it until the main process has saved."""
    values["training"] |= {"epochs": 10_000, "workers": 2, "save_every": {"minutes": 60}}
    file = tmp_path / "run.yaml"
    file.write_text(dump_yaml(values))
    folder = RunFolder(values["output"])
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlt", "train", str(file)],
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    started = time.monotonic()
    while not folder.has_state and time.monotonic() - started < 120:
        time.sleep(0.1)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=90) == 130
    said = (tmp_path / "stderr").read_text()
    assert "--resume continues the run" in said and "processes that load images" not in said
