"""Configurations whose updates are short enough to be written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def plain_values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Plain SGD on plain cross entropy: 48 images, one batch and one update an epoch."""
    return tiny_values | {
        "transforms": {"name": "plain", "size": 32, "shift": 0},
        "loss": {},
        "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.0},
        "schedule": {"name": "constant"},
        "training": {"epochs": 1, "batch_size": 48, "workers": 0, "channels_last": False},
    }


@pytest.fixture
def partly_known(plain_values: dict[str, Any], tiny_source: Path, tmp_path: Path) -> dict[str, Any]:
    """The same on 12 images in CSV tables; -1 stands for a label that is not known."""
    header = "path,cat,dog,yeti"
    for part in ("train", "test"):
        rows = [f"{part}/{n:04}.png,{n % 2},{int(n % 3 == 1)},{1 - n % 3}" for n in range(12)]
        (tmp_path / f"{part}.csv").write_text("\n".join([header, *rows]))
    data = {
        "name": "csv", "root": str(tiny_source), "labels_column": None, "uncertain": "unknown",
        "train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv"),
    }  # fmt: skip
    return plain_values | {"data": data}
