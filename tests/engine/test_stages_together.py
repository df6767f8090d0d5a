"""Stages in two processes: the weights of one, through frozen and fresh parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml

pytestmark = pytest.mark.slow


def in_two(*arguments: object) -> None:
    options = ["--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "mlt", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *map(str, arguments)], check=True, env=environment, timeout=240)


def test_two_processes_are_as_one(tiny_values: dict[str, Any], tmp_path: Path) -> None:
    tiny_values["optimizer"] = {"name": "sgd", "lr": 0.01}
    tiny_values["training"] = {
        "batch_size": 8, "workers": 0, "ema_decay": 0.9,
        "stages": [
            {"epochs": 1, "freeze": "all"},
            {"epochs": 1, "freeze": ["conv1"], "loss": "cb_focal"},
            {"epochs": 1, "freeze": "all", "head": "reinit", "sampler": "class_aware"},
        ],
    }  # fmt: skip
    file = tmp_path / "run.yaml"
    file.write_text(dump_yaml(tiny_values))
    assert main(["train", str(file), "--output", str(tmp_path / "one")]) == 0
    in_two(file, "--output", tmp_path / "two")
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-4)
