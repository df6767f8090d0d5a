"""A tiny text tower of open_clip: its own classes and tokenizer, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a tiny model that open_clip knows, and a file of random weights of it."""
    open_clip = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "mlt-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(3)
    model = open_clip.create_model("mlt-tiny", pretrained=None)
    file = folder / "tiny.pt"
    torch.save(model.state_dict(), file)
    return "mlt-tiny", file


@pytest.fixture(scope="session")
def tiny_folder(tiny_clip: tuple[str, Path]) -> Path:
    """The same model as a folder that open_clip loads with local-dir."""
    _, file = tiny_clip
    folder = file.parent / "folder"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    torch.save(torch.load(file, weights_only=True), folder / "open_clip_pytorch_model.bin")
    return folder
