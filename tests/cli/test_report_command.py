"""The command `mlt report`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from mlt.cli import main
from mlt.cli.report import report_runs
from mlt.config import dump_config
from mlt.config.load import parse_config


@pytest.fixture
def trained(tiny_values: dict[str, Any], tmp_path: Path) -> str:
    """A run folder as training leaves it."""
    config = tmp_path / "tiny.yaml"
    values = {**tiny_values, "training": {**tiny_values["training"], "epochs": 1}}
    config.write_text(dump_config(parse_config(values)))
    assert main(["train", str(config)]) == 0
    return str(tiny_values["output"])


def test_a_trained_run_is_reported(
    trained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, tables = tmp_path / "r.html", tmp_path / "tables"
    capsys.readouterr()
    command = ["report", trained, "--output", str(file), "--tables", str(tables)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("mean over")
    assert f"written to {file}" in printed
    assert "/9j/" in file.read_text()  # how every JPEG begins in base64
    assert (tables / "classes.tex").exists()
    first = file.read_text()
    assert main(command) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert file.read_text() == first
    assert main([*command, "--overwrite", "--no-images"]) == 0
    assert "made without images" in file.read_text()
    assert "/9j/" not in file.read_text()


def test_what_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), "--output", str(tmp_path / "r.html")]) == 2
    assert f"no predictions file {tmp_path / 'predictions.npz'}" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_tables_are_written_before_anything_is_printed(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a terminal that cannot print costs no file."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream.close()
    monkeypatch.setattr("sys.stdout", stream)
    with pytest.raises(ValueError, match="closed file"):
        report_runs([tiny_run], tmp_path / "r.html", tables=tmp_path / "tables", thumbnails=False)
    assert (tmp_path / "r.html").exists()
    assert (tmp_path / "tables" / "classes.tex").exists()
