"""Checkpoints that hold what differs from the weights that the backbone began with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import mlt
from mlt.config import parse_config
from mlt.engine.train import train
from mlt.errors import CheckpointError, ConfigError
from mlt.inference import Predictor
from mlt.models import build_model
from mlt.models.average import average_weights
from mlt.models.checkpoint import (
    checkpoint_digest,
    load_checkpoint,
    read_info,
    read_weights,
    save_checkpoint,
    save_decision,
)
from mlt.models.settings import ModelConfig


@pytest.fixture
def values(tiny_values: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A run that begins from a file of weights, of which the last block learns."""
    torch.manual_seed(5)
    backbone = timm.create_model("test_resnet", num_classes=0)
    save_file(backbone.state_dict(), tmp_path / "begin.safetensors")
    model = {"weights": {"file": str(tmp_path / "begin.safetensors")}, "learn": "norm"}
    return tiny_values | {"model": tiny_values["model"] | model}


def run(values: dict[str, Any], name: str, save: str = "difference", **training: Any) -> Path:
    output = Path(values["output"]).with_name(name)
    section = values["training"] | training | {"save": save}
    train(parse_config(values | {"output": str(output), "training": section}))
    return output / "last.safetensors"


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("learn", ["norm", {"name": "last_blocks"}, {"name": "lora", "rank": 1}])
def test_it_is_the_whole_model_again(values: dict[str, Any], learn: Any) -> None:
    values["model"] |= {"learn": learn, "freeze_statistics": True}
    values["training"] |= {"ema_decay": 0.9}
    full, part = run(values, "full", "full"), run(values, "part")
    assert same(read_weights(full), read_weights(part))
    assert checkpoint_digest(full) == checkpoint_digest(part)
    assert same(load_checkpoint(full)[0].state_dict(), load_checkpoint(part)[0].state_dict())
    model = load_checkpoint(part)[0]
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in load_file(part) if name.startswith("backbone.")} <= learning
    assert set(load_file(part)) >= {name for name in learning if name.startswith("head.")}
    assert part.stat().st_size < full.stat().st_size


def test_statistics_that_moved_are_in_it(values: dict[str, Any]) -> None:
    assert "backbone.layer4.0.bn1.running_mean" in load_file(run(values, "moved"))


def test_every_command_takes_it(values: dict[str, Any], tmp_path: Path) -> None:
    full, part = run(values, "full", "full"), run(values, "part")
    predictions = part.with_name("predictions.npz")
    assert predictions.read_bytes() == full.with_name("predictions.npz").read_bytes()
    config = mlt.load_config(part.with_name("config.yaml"))
    found = mlt.evaluate(config, part)
    assert found.total == mlt.evaluate(mlt.load_config(full.with_name("config.yaml")), full).total
    image = next((Path(values["data"]["root"]) / "test").glob("*.png"))
    answers = [list(Predictor.from_checkpoint(path).predict(image)) for path in (full, part)]
    assert (answers[0][0].logits == answers[1][0].logits).all()
    averaged, info = average_weights([part, full])
    assert same(averaged, read_weights(full))
    save_checkpoint(tmp_path / "averaged.safetensors", averaged, info)
    (tmp_path / "begin.safetensors").unlink()
    assert same(load_checkpoint(tmp_path / "averaged.safetensors")[0].state_dict(), averaged)


def test_thresholds_are_put_into_it(values: dict[str, Any]) -> None:
    part = run(values, "part")
    before = load_file(part)
    save_decision(part, {"a": 1})
    assert read_info(part).decision == {"a": 1}
    assert same(load_file(part), before)


def test_a_resumed_run_saves_the_same(values: dict[str, Any]) -> None:
    whole = run(values, "whole")
    section = values["training"] | {"save": "difference"}
    output = str(whole.parent.with_name("resumed"))
    config = parse_config(values | {"output": output, "training": section})

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, on_epoch=stop)
    file = Path(values["model"]["weights"]["file"])
    begun = file.read_bytes()
    save_file({k: v + 1 for k, v in load_file(file).items()}, file)
    with pytest.raises(ConfigError, match="weights that the backbone begins with have changed"):
        train(config, resume=True)
    file.write_bytes(begun)
    train(config, resume=True)
    assert whole.read_bytes() == (Path(output) / "last.safetensors").read_bytes()


def test_the_start_may_be_a_checkpoint(values: dict[str, Any]) -> None:
    values["model"] |= {"learn": {"name": "lora", "rank": 2}}
    first = run(values, "first")  # itself a difference, with adapters that are merged
    values["model"] |= {"checkpoint": str(first), "learn": "norm"}
    full, part = run(values, "full", "full"), run(values, "part")
    assert same(read_weights(full), read_weights(part))
    assert {value.ndim for value in load_file(part).values()} <= {0, 1, 2}  # no convolution


def test_other_or_absent_weights_are_refused(values: dict[str, Any], tmp_path: Path) -> None:
    part = run(values, "part")
    file = tmp_path / "begin.safetensors"
    weights = load_file(file)
    save_file(weights | {"bn1.bias": weights["bn1.bias"] + 1}, file)
    with pytest.raises(CheckpointError, match=r"these are others now: model.weights: .*begin.safe"):
        load_checkpoint(part)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"cannot be had here: .*begin.safetensors"):
        read_weights(part)


def test_what_cannot_be_built_again_is_refused(values: dict[str, Any]) -> None:
    model = build_model(ModelConfig(backbone="test_resnet", weights="none"), 4)
    training = values["training"] | {"save": "difference"}
    with pytest.raises(ConfigError, match=r"training.save: a model that was handed over"):
        train(parse_config(values | {"training": training}), model=model)
    random = values["model"] | {"weights": "none"}
    with pytest.raises(ConfigError, match=r"training.save: difference needs weights .* random"):
        parse_config(values | {"training": training, "model": random})
