"""Options that show in what a run saves: the moving average, mirroring, known labels, dropout."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mlt.config import Config, parse_config
from mlt.engine import loop as loop_module
from mlt.engine.loop import Training, train_epoch
from mlt.engine.setup import prepare
from mlt.engine.train import train
from mlt.metrics import Predictions
from mlt.models.checkpoint import load_checkpoint
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop


def averaged(config: Config, decay: float) -> tuple[Training, dict[str, Tensor]]:
    """Train one update an epoch, and average the weights after each as timm's warm-up says.

    Update k, from 1, keeps 1 - k^(-2/3) of the average, and at most ``decay``.
    """
    setup = prepare(config, None)
    average: dict[str, Tensor] = {}
    for k in range(1, config.training.epochs + 1):
        train_epoch(
            setup.training, setup.train_loader, config.training, setup.device, GracefulStop()
        )
        assert setup.training.position.updates == k
        keep = min(1 - k ** (-2 / 3), decay)
        now = setup.training.model.state_dict()
        average = {
            name: keep * average.get(name, 0) + (1 - keep) * new
            if new.is_floating_point()
            else new.clone()
            for name, new in now.items()
        }
    return setup.training, average


def assert_same(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare weights by name."""
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_the_moving_average_follows_its_warm_up(plain_values: dict[str, Any]) -> None:
    plain_values["training"] |= {"epochs": 5, "ema_decay": 0.55}
    training, average = averaged(parse_config(plain_values), decay=0.55)
    assert training.ema is not None
    assert_same(training.ema.module.state_dict(), average)
    raw = training.model.state_dict()["head.1.weight"]
    assert (raw - average["head.1.weight"]).abs().max() > 1e-3


def test_checkpoints_hold_the_moving_average(plain_values: dict[str, Any]) -> None:
    plain_values["training"] |= {"epochs": 2, "ema_decay": 0.9}
    plain_values["evaluation"] |= {"every": 0}
    config = parse_config(plain_values)
    train(config)
    _, average = averaged(config, decay=0.9)
    folder = RunFolder(plain_values["output"])
    assert_same(load_checkpoint(folder.last)[0].state_dict(), average)
    assert_same(load_checkpoint(folder.best)[0].state_dict(), average)


def test_saved_predictions_say_which_labels_are_known(partly_known: dict[str, Any]) -> None:
    partly_known["training"] |= {"epochs": 0}
    train(parse_config(partly_known))
    saved = Predictions.load(RunFolder(partly_known["output"]).predictions)
    assert saved.known is not None
    assert saved.known.tolist() == [[True, True, n % 3 != 2] for n in range(12)]


def test_mirroring_gives_the_mean_of_both_images_logits(
    plain_values: dict[str, Any], tiny_source: Path
) -> None:
    plain_values["training"] |= {"epochs": 0}
    plain_values["model"] |= {"prior_bias": False}
    plain_values["evaluation"] |= {"mirror": True}
    train(parse_config(plain_values))
    folder = RunFolder(plain_values["output"])
    images = [np.asarray(Image.open(f)) for f in sorted((tiny_source / "test").iterdir())]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255 * 2 - 1
    model, _ = load_checkpoint(folder.last)
    with torch.no_grad():
        logits, mirrored = model(pixels).numpy(), model(pixels.flip(-1)).numpy()
    assert np.abs(logits - mirrored).max() > 1e-3
    saved = Predictions.load(folder.predictions)
    np.testing.assert_allclose(saved.logits, (logits + mirrored) / 2, atol=1e-5)


def test_an_interrupted_run_with_dropout_ends_where_an_uninterrupted_one_does(
    plain_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_values["training"] |= {"epochs": 2, "batch_size": 16}
    plain_values["evaluation"] |= {"every": 0}
    plain_values["model"] |= {"head": {"name": "linear", "dropout": 0.5}, "drop_path": 0.3}
    whole = RunFolder(tmp_path / "whole")
    train(parse_config(plain_values | {"output": str(whole.path)}))
    original = loop_module._update

    def interrupting(training: Any, config: Any) -> None:
        original(training, config)
        if training.position.updates == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "_update", interrupting)
        with pytest.raises(KeyboardInterrupt):
            train(parse_config(plain_values))
    train(parse_config(plain_values), resume=True)
    folder = RunFolder(plain_values["output"])
    expected = load_checkpoint(whole.last)[0].state_dict()
    for name, tensor in load_checkpoint(folder.last)[0].state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert folder.read_history() == whole.read_history()
