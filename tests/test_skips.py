"""What is absent skips a user's tests, with how to get it, and fails CI's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

def test_package():
    pytest.importorskip("no_such_package")

@pytest.mark.skipif(True, reason="needs Chromium: apt-get install chromium")
def test_program():
    pass

def test_photographs(shared):
    pass

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False
"""
FILE = "import pytest\npytest.importorskip('no_such_package')\ndef test_file(): pass\n"


def summary(repository: Path, folder: Path, ci: str) -> str:
    """Run tests that need what is absent, under this repository's conftest."""
    shutil.copy(repository / "tests" / "conftest.py", folder)
    (folder / "test_one_by_one.py").write_text(TESTS)
    (folder / "test_file.py").write_text(FILE)
    command = [sys.executable, "-m", "pytest", str(folder), "--continue-on-collection-errors"]
    command += ["-ra", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    environment = {**os.environ, "CI": ci, "MLT_SHARED": str(folder / "absent"), "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    return done.stdout


def test_a_user_is_told_how_to_get_it(repository: Path, tmp_path: Path) -> None:
    printed = summary(repository, tmp_path, ci="")
    remedy = "could not import 'no_such_package': No module named 'no_such_package'; it comes with"
    assert printed.count(f"{remedy} `pip install --editable '.[dev]'`") == 2
    assert "needs Chromium: apt-get install chromium" in printed
    assert f"needs real photographs, and {tmp_path / 'absent'} is absent" in printed
    assert "4 skipped, 1 xfailed in" in printed


def test_ci_fails_unless_photographs_are_absent(repository: Path, tmp_path: Path) -> None:
    printed = summary(repository, tmp_path, ci="true")
    assert "1 failed, 1 skipped, 1 xfailed, 2 errors in" in printed
    assert f"needs real photographs, and {tmp_path / 'absent'} is absent" in printed
    assert "FAILED test_one_by_one.py::test_package" in printed
    assert "ERROR test_one_by_one.py::test_program" in printed
    assert "ERROR test_file.py" in printed
