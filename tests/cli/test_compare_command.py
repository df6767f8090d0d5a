"""`mlt compare` as users type it: from configurations to a report, and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml


@pytest.fixture
def config(tiny_values: dict[str, Any], tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(dump_yaml(tiny_values))
    return str(file)


def test_losses_are_compared_over_seeds(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "all"
    command = ["compare", config, "--losses", "bce", "cb_focal", "--seeds", "2"]
    command += ["--output", str(output), "--set", "training.epochs=1"]
    assert main([*command, "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in listed] == [
        [name, "to", "train"]
        for name in ("bce-seed0", "cb_focal-seed0", "bce-seed1", "cb_focal-seed1")
    ]
    assert not output.exists()

    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "bce (baseline)" in printed
    assert "cb_focal" in printed
    page = (output / "report.html").read_text()
    assert all(name in page for name in ("bce-seed1", "cb_focal-seed1"))

    assert main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("finished") == 4
    assert main([*command, "training.epochs=2"]) == 2
    assert "another configuration (training.epochs differ)" in capsys.readouterr().err


def test_configurations_are_named_by_their_files(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path(config).read_text())
    command = ["compare", config, str(other), "--seeds", "1", "--output", str(tmp_path / "all")]
    assert main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.split()[::3] == ["tiny-seed0", "other-seed0"]
    assert main([*command, "--losses", "bce", "--dry-run"]) == 0
    assert capsys.readouterr().out.split()[::3] == ["tiny-bce-seed0", "other-bce-seed0"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--losses", "bce", "bce"], "two runs would be called 'bce'"),
        (["--losses", "bec"], "no loss 'bec'"),
        (["--set", "training.epoch=1"], "training.epoch"),
    ],
)
def test_mistakes(
    config: str, tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", config, "--output", str(tmp_path / "all"), *extra]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "all").exists()
