"""A small part of `benchmarks/kills.py`: kills at random moments and before file operations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Unix")
def test_no_kill_loses_anything(repository: Path) -> None:
    command = [sys.executable, "benchmarks/kills.py", "--kills", "3", "--signals", "1"]
    done = subprocess.run(
        [*command, "--every", "40"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills within epochs of 48 updates: 3 ends bit for bit the same" in done.stdout
