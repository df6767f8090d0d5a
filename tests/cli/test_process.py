"""Settings of the process: they are made, and an explicit choice of the user wins."""

from __future__ import annotations

import io
import os

import pytest

from mlt.cli import main
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
