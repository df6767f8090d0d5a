"""Run folders without training: predictions that are made up, images that are there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.config import dump_config
from mlt.config.load import parse_config
from mlt.predictions import Predictions

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path, tiny_values: dict[str, Any], tiny_names: list[str]) -> MakeRun:
    """Write a run folder for the 32 test images of the tiny data set.

    ``skill`` is the distance of positives from negatives in logits; ``config`` sets top-level
    sections; None writes no configuration.
    """
    truth = np.random.default_rng(0).random((32, 4)) < [0.6, 0.5, 0.4, 0.2]

    def make(
        name: str,
        *,
        seed: int = 0,
        skill: float = 2.0,
        config: dict[str, Any] | None = {},  # noqa: B006 - never changed
        **changes: Any,
    ) -> Path:
        folder = tmp_path / "runs" / name
        rng = np.random.default_rng([seed, int(skill * 10)])
        parts = {
            "image_ids": np.arange(1, 33),
            "logits": (rng.normal(size=truth.shape) + skill * truth - 1).astype(np.float32),
            "targets": truth,
            "class_names": tuple(tiny_names),
            "class_counts": np.array([30, 15, 9, 4]),
            "num_train_images": 48,
        }
        Predictions(**{**parts, **changes}).save(folder / "predictions.npz")
        if config is not None:
            values = {**tiny_values, "seed": seed, "output": str(folder), **config}
            (folder / "config.yaml").write_text(dump_config(parse_config(values)))
        lines = [
            {"epoch": e, "updates": e, "loss": 1 / e, "lr": 0.1,
             "mAP": {"total": 0.1 * e, "head": 0.2 * e, "medium": 0.1 * e, "tail": None}}
            for e in (1, 2, 3)
        ]  # fmt: skip
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
        return folder

    return make
