"""The short recipe for long-tailed CIFAR-10."""

from __future__ import annotations

from pathlib import Path

import pytest
from cifar_files import BINARY, Cifar

import mlt
from mlt.config import load_config
from mlt.predictions import Predictions

FOCAL = "loss={preset: cb_focal_single, options: {beta: 0.9999, gamma: 1.0}}"


@pytest.mark.parametrize("more", [(), pytest.param((FOCAL,), marks=pytest.mark.slow)])
def test_it_learns_made_up_images(more: tuple[str, ...], tmp_path: Path) -> None:
    root = Cifar("cifar10_lt", 16).packed(tmp_path, BINARY).parent
    values = [f"data.root={root}", f"output={tmp_path / 'run'}", "data.imbalance=2"]
    values += ["training.batch_size=16", "training.epochs=3", "schedule.warmup_epochs=1"]
    values += ["optimizer.lr=0.1", *more]
    mlt.train(load_config("cifar10_lt_fast", values))
    predictions = Predictions.load(tmp_path / "run" / "predictions.npz")
    right = predictions.logits.argmax(axis=1) == predictions.targets.argmax(axis=1)
    assert right.mean() > 0.2  # chance is a tenth, with a standard error of 0.03
