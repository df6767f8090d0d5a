"""The tiny text tower of open_clip as a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def tiny_folder(tiny_clip: tuple[str, Path]) -> Path:
    """The same model as a folder that open_clip loads with local-dir."""
    _, file = tiny_clip
    settings = (file.parent / "mlt-tiny.json").read_text()
    folder = file.parent / "folder"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": json.loads(settings)}))
    torch.save(torch.load(file, weights_only=True), folder / "open_clip_pytorch_model.bin")
    return folder
