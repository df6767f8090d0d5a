"""The layers of the package, listed in pyproject.toml, hold: no import runs backwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINTER = """
from importlinter.cli import lint_imports
raise SystemExit(lint_imports(no_logo=True, no_cache=True))
"""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package `mlt` that lies in the folder."""
    command = [sys.executable, "-c", LINTER]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_each_package_imports_only_from_the_layers_below(repository: Path) -> None:
    done = lint_imports(repository)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("losses/new.py", "import mlt.engine", "mlt.losses.new -> mlt.engine"),
        ("losses/new.py", "def f(): from mlt.data import LabelTable", "mlt.losses.new -> mlt.data"),
        ("settings.py", "if TYPE_CHECKING: import mlt.config", "mlt.settings -> mlt.config"),
        ("report/new.py", "import mlt.detection", "mlt.report.new -> mlt.detection"),
        ("losses/new.py", "def f(): import sklearn", "mlt.losses.new -> sklearn"),
        ("metrics/new.py", "import torch", "mlt.metrics.new -> torch"),
        ("data/labels.py", "import mlt.data.splits.split", "No cycles are allowed in mlt.data."),
        ("new.py", "", "not listed as layers: - mlt.new"),
    ],
)
def test_an_import_in_the_wrong_direction_is_found(
    repository: Path, tmp_path: Path, file: str, line: str, complaint: str
) -> None:
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "mlt", tmp_path / "mlt", ignore=caches)
    shutil.copy(repository / "pyproject.toml", tmp_path)
    with (tmp_path / "mlt" / file).open("a") as module:
        module.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert complaint in " ".join(done.stdout.split())
