"""Settings of the process: they are made, and an explicit choice of the user wins."""

from __future__ import annotations

import errno
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlt.cli import main, process
from mlt.cli.process import escape_unprintable, tune_process


def test_threads_sleep_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    tune_process()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    tune_process()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_systems_without_glibc_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    tune_process()


@pytest.mark.parametrize(
    ("errors", "expected"),
    [("strict", b"\\u25bc"), ("surrogateescape", b"\\u25bc"), ("replace", b"?")],
)
def test_what_the_encoding_lacks_is_printed_as_an_escape_unless_the_user_says_otherwise(
    errors: str, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="cp1252", errors=errors, write_through=True)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", io.StringIO())  # of a caller that has no such encoding
    escape_unprintable()
    print("▼", end="")
    assert written.getvalue() == expected


def test_every_command_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", stream)
    assert main(["--version"]) == 0
    assert stream.errors == "backslashreplace"


def test_no_name_commands_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "labels.csv"
    table.write_text('path,labels\na.png,"c\x1b[31mat\x07|d\x9bog"\n', encoding="utf-8")
    assert (
        main(["build-split", "pareto", "--csv", str(table), "--output", str(tmp_path / "s.json")])
        == 0
    )
    assert main(["evaluate", "\x1b]0;title\x07.yaml", "--checkpoint", "x"]) == 2
    printed = capsys.readouterr()
    assert "c\\x1b[31mat\\x07" in printed.out and "\\x1b]0;title" in printed.err
    assert not set(printed.out + printed.err) & set("\x1b\x07\x9b")
    record = logging.LogRecord("mlt", logging.INFO, "", 0, "%s", ("c\x1b[31mat",), None)
    assert process.PrintableFormatter("%(message)s").format(record) == "c\\x1b[31mat"


def test_a_folder_that_is_gone_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: object) -> int:
        raise FileNotFoundError(errno.ENOENT, "gone", "/data/run/log.txt")

    monkeypatch.setattr("mlt.cli.configs.run", run)
    assert main(["configs"]) == 2
    assert (
        "is gone that was there when the command began (/data/run/log.txt)"
        in capsys.readouterr().err
    )


def test_a_process_that_ends_does_not_look_for_garbage() -> None:
    """Not among the half a million objects of torch's modules, which go with the process anyway."""
    program = """\
from mlt.cli.process import tune_process
tune_process()

class Node:
    def __del__(self):
        print("collected")

node = Node()
node.itself = node
del node
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
