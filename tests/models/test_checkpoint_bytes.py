"""Checkpoint files: the same bytes for the same content, and no damage unseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mlt.errors import CheckpointError
from mlt.models.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint, save_decision

INFO = CheckpointInfo(("cat", "dog"), (30, 4), 32, {"own": "Linear"}, {"size": 8}, 3)


def write(file: Path) -> torch.nn.Linear:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    save_checkpoint(file, model.state_dict(), INFO)
    return model


def test_same_content_same_bytes(tmp_path: Path) -> None:
    contents = []
    for n in range(8):  # the library shuffles metadata anew in every call
        write(tmp_path / f"{n}.safetensors")
        save_decision(tmp_path / f"{n}.safetensors", {"thresholds": [0.5, 0.25]})
        contents.append((tmp_path / f"{n}.safetensors").read_bytes())
    assert len(set(contents)) == 1
    assert load_file(tmp_path / "0.safetensors")["bias"].shape == (2,)


def test_no_flipped_bit_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    model = write(file)
    content = file.read_bytes()
    for bit in np.random.default_rng(0).permutation(len(content) * 8)[:1500]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(damaged)
        try:
            loaded, info = load_checkpoint(file, torch.nn.Linear(3, 2))
        except CheckpointError:
            continue
        # What was read in spite of it is what was written: a blank, say, became another one.
        assert info == INFO and torch.equal(loaded.weight, model.weight)


def test_files_of_earlier_versions_have_no_digest(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "a.safetensors"
    model = write(file)
    metadata = {
        "format": "mlt.checkpoint/1",
        "class_names": '["cat", "dog"]',
        "class_counts": "[30, 4]",
        "num_train_images": "32",
        "model": '{"own": "Linear"}',
        "preprocessing": '{"size": 8}',
        "epoch": "3",
    }
    save_file(model.state_dict(), file, metadata)
    assert load_checkpoint(file, torch.nn.Linear(3, 2))[1] == INFO
    save_file(model.state_dict(), file, metadata | {"sha256": "0" * 64})
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(file, torch.nn.Linear(3, 2))
