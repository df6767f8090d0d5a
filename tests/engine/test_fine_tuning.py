"""Fine-tuning a part of a backbone, or adapters beside it: runs, resumed runs and what they say."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from mlt.cli.describe import describe
from mlt.config import parse_config
from mlt.data.transforms import eval_transform
from mlt.engine.train import train
from mlt.errors import ConfigError
from mlt.inference import Predictor
from mlt.models import Classifier, build_model
from mlt.models.adapters import is_adapter
from mlt.models.checkpoint import load_checkpoint
from mlt.models.settings import ModelConfig

LEARN = ["bias", "norm", {"name": "last_blocks", "blocks": 1}, {"name": "lora", "rank": 2}]
HEAD_FIRST = [{"epochs": 1, "freeze": "all"}, {"epochs": 2, "freeze": []}]


def named(values: dict[str, Any], name: str, learn: Any, **training: Any) -> dict[str, Any]:
    section = values["training"] | training
    if "stages" in training:
        section.pop("epochs", None)
    output = Path(values["output"]).with_name(name)
    model = values["model"] | {"learn": learn}
    return values | {"output": str(output), "training": section, "model": model}


def run(values: dict[str, Any], name: str, learn: Any, **training: Any) -> dict[str, Tensor]:
    """The weights after a run."""
    config = parse_config(named(values, name, learn, **training))
    train(config)
    return load_file(Path(config.output) / "last.safetensors")


def moved(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("learn", LEARN, ids=str)
def test_what_does_not_learn_stays(tiny_values: dict[str, Any], learn: Any) -> None:
    tiny_values["model"] |= {"freeze_statistics": True}
    begun = run(tiny_values, "begun", learn, epochs=0)
    model, _ = load_checkpoint(Path(tiny_values["output"]).with_name("begun") / "last.safetensors")
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    changed = moved(begun, run(tiny_values, "trained", learn))
    assert changed <= learning
    assert any(name.startswith("backbone.") for name in changed)
    assert any(name.startswith("head.") for name in changed)


@pytest.mark.parametrize("learn", LEARN, ids=str)
def test_the_head_first_and_then_a_part_resumed(tiny_values: dict[str, Any], learn: Any) -> None:
    tiny_values["optimizer"] |= {"backbone_lr_scale": 0.5, "layer_decay": 0.8}
    tiny_values["training"] |= {"ema_decay": 0.9, "accumulate": 2, "autocast": "bf16"}
    begun = run(tiny_values, "begun", learn, epochs=0)
    whole = run(tiny_values, "whole", learn, stages=HEAD_FIRST)
    config = parse_config(named(tiny_values, "part", learn, stages=HEAD_FIRST))

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, on_epoch=stop)
    train(config, resume=True)
    path = Path(config.output) / "last.safetensors"
    assert not moved(whole, load_file(path))
    parameters = dict(load_checkpoint(path)[0].named_parameters())
    changed = {parameters[name] for name in moved(begun, whole) if name in parameters}
    assert all(parameter.requires_grad for parameter in changed)


def test_adapters_change_nothing_of_the_head_on_cached_features(
    tiny_values: dict[str, Any],
) -> None:
    stages = [{"epochs": 2, "freeze": "all"}, {"epochs": 1, "freeze": []}]
    tiny_values["optimizer"]["lr"] = 1e-3
    adapted = named(tiny_values, "adapted", "lora", stages=stages)
    lines: dict[str, list[float]] = {}
    train(parse_config(adapted), on_epoch=lambda r: lines.setdefault("lora", []).append(r["mAP"]))
    plain = named(tiny_values, "plain", "all", stages=stages)
    train(parse_config(plain), on_epoch=lambda r: lines.setdefault("all", []).append(r["mAP"]))
    assert lines["lora"][:2] == lines["all"][:2]


def test_prediction_is_that_of_the_merged_model(tiny_values: dict[str, Any]) -> None:
    tiny_values["optimizer"]["lr"] = 0.03
    config = parse_config(named(tiny_values, "lora", {"name": "lora", "rank": 2}))
    train(config)
    path = Path(config.output) / "last.safetensors"
    model, _ = load_checkpoint(path)
    assert any(is_adapter(name) for name in model.state_dict())
    predictor = Predictor.from_checkpoint(path)
    assert not any(is_adapter(name) for name in predictor.model.state_dict())
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    with torch.no_grad():
        wanted = model(eval_transform(predictor.preprocessing)(image)[None])
    np.testing.assert_allclose(predictor.logits([image]), wanted.numpy(), atol=1e-5)


def test_a_run_begins_from_the_merged_weights_of_another(tiny_values: dict[str, Any]) -> None:
    tiny_values["optimizer"]["lr"] = 0.03
    lora = {"name": "lora", "rank": 2, "alpha": 5.0}
    first = run(tiny_values, "first", lora)
    path = Path(tiny_values["output"]).with_name("first") / "last.safetensors"
    tiny_values["model"] |= {"checkpoint": str(path)}
    for number, learn in enumerate(["all", {"name": "lora", "rank": 3}]):
        second = run(tiny_values, f"second {number}", learn, epochs=0)
        name = "backbone.layer3.0.downsample.1"
        update = first[f"{name}.lora_up"] @ first[f"{name}.lora_down"]
        expected = first[f"{name}.weight"] + 2.5 * update[:, :, None, None]
        torch.testing.assert_close(second[f"{name}.weight"], expected)
        ups = [value for key, value in second.items() if key.endswith("lora_up")]
        assert bool(ups) == (learn != "all")
        assert not any(up.any() for up in ups)


def test_a_classifier_that_was_handed_over_keeps_what_learns(tiny_values: dict[str, Any]) -> None:
    def model() -> Classifier:
        torch.manual_seed(0)
        made = build_model(ModelConfig(backbone="test_resnet", weights="none"), 4)
        made.learn_only(["bn1.weight", "bn1.bias", "layer4.0.bn2.bias"])
        made.freeze(["bn1"])
        return made

    begun, trained = model().state_dict(), model()
    train(parse_config(named(tiny_values, "own", "all")), model=trained)
    changed = moved(begun, trained.state_dict())
    assert {n for n in changed if not n.startswith("head.")} <= {
        f"backbone.layer4.0.bn2.{n}"
        for n in ("bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert "backbone.layer4.0.bn2.bias" in changed


def test_what_learns_is_said(tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    tiny_values["optimizer"] = {"name": "adamw", "lr": 0.01, "backbone_lr_scale": 0.1}
    values = named(tiny_values, "said", {"name": "lora", "rank": 2}, stages=HEAD_FIRST)
    text = describe(parse_config(values))
    model = build_model(parse_config(values).model, 4)
    sizes = {
        "adapters": sum(p.numel() for n, p in model.named_parameters() if is_adapter(n)),
        "head": sum(p.numel() for p in model.head.parameters()),
    }
    whole = sum(p.numel() for p in model.backbone.parameters()) - sizes["adapters"]
    backbone = f"backbone: 0 of {whole:,} parameters learn (0 %)"
    head = f"head: {sizes['head']:,} of {sizes['head']:,} parameters learn (100 %), lr 0.01"
    adapters = f"adapters: {sizes['adapters']:,} of {sizes['adapters']:,} parameters learn (100 %)"
    lines = [line.strip() for line in text.splitlines()]
    assert lines.count(backbone) == 2
    assert lines.count(head) == 2
    assert f"{adapters}, lr 0.001" in lines
    assert f"adapters: 0 of {sizes['adapters']:,} parameters learn (0 %)" in lines
    share = 100 * sizes["head"] / (whole + sum(sizes.values()))
    assert f"{sizes['head']:,} learn ({share:.3g} %)" in text
    with caplog.at_level(logging.INFO, "mlt"):
        train(parse_config(values))
    assert caplog.messages.count(head) == 2
    assert caplog.messages.count(f"{adapters}, lr 0.001") == 1


def test_the_rates_of_layers_are_said_as_a_span(tiny_values: dict[str, Any]) -> None:
    tiny_values["optimizer"] = {"name": "adamw", "lr": 0.01, "layer_decay": 0.1}
    text = describe(parse_config(named(tiny_values, "said", "all")))
    assert ", lr 1e-06 to 0.01\n" in text  # four layers below the last


def test_learning_of_a_frozen_backbone_is_refused(tiny_values: dict[str, Any]) -> None:
    tiny_values["model"] |= {"freeze": "all"}
    with pytest.raises(ConfigError, match=r"model.learn: bias says what .* model.freeze to \[\]"):
        parse_config(named(tiny_values, "refused", "bias"))
    stages = [{"epochs": 1}, {"epochs": 1, "freeze": []}]
    parse_config(named(tiny_values, "stages", "bias", stages=stages))
    with pytest.raises(ConfigError, match=r"model\.learn"):
        parse_config(named(tiny_values, "refused", "bias", stages=stages[:1]))


def test_a_stage_that_freezes_all_that_would_learn_is_refused(tiny_values: dict[str, Any]) -> None:
    learn = {"name": "last_blocks", "blocks": 1}
    frozen = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
    stages = [{"epochs": 1, "freeze": "all"}, {"epochs": 1, "freeze": frozen}]
    message = (
        r"training\.stages\.1\.freeze: all that model\.learn: last_blocks names is frozen by conv1"
    )
    with pytest.raises(ConfigError, match=message):
        train(parse_config(named(tiny_values, "refused", learn, stages=stages)))
    stages[1]["freeze"] = frozen[:-1]
    train(parse_config(named(tiny_values, "taken", learn, stages=stages)))


def test_decay_to_the_start_by_hand(plain_values: dict[str, Any]) -> None:
    plain_values["optimizer"] = {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.0,
        "backbone_lr_scale": 0.5,
    }
    begun = run(plain_values, "begun", "all", epochs=0)
    free = run(plain_values, "free", "all")
    plain_values["optimizer"] |= {"decay_to_start": 4.0}
    held = run(plain_values, "held", "all")
    learned = [name for name in moved(begun, free) if name.endswith(("weight", "bias"))]
    assert len(learned) > 10
    for name in learned:
        # One update; the backbone's rate is 0.05, so that 0.2 of the way is taken back.
        kept = 0.8 if name.startswith("backbone.") else 1.0
        expected = begun[name] + kept * (free[name] - begun[name])
        torch.testing.assert_close(held[name], expected, rtol=1e-5, atol=1e-7)


def test_decay_without_end_is_a_frozen_backbone(tiny_values: dict[str, Any]) -> None:
    tiny_values["model"] |= {"freeze_statistics": True}
    tiny_values["schedule"] = {"name": "constant"}
    begun = run(tiny_values, "begun", "all", epochs=0)
    tiny_values["optimizer"] |= {"decay_to_start": 1e9}
    held = run(tiny_values, "held", "all")
    for name in moved(begun, held):
        if name.startswith("backbone."):  # back to the start, but for rounding
            torch.testing.assert_close(held[name], begun[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_a_run_that_decays_to_its_start_is_resumed(
    tiny_values: dict[str, Any], optimizer: str
) -> None:
    tiny_values["optimizer"] = {"name": optimizer, "lr": 0.01, "decay_to_start": 3.0}
    tiny_values["optimizer"] |= {"layer_decay": 0.8}
    tiny_values["training"] |= {"ema_decay": 0.9, "accumulate": 2}
    whole = run(tiny_values, "whole", "all", stages=HEAD_FIRST)
    config = parse_config(named(tiny_values, "part", "all", stages=HEAD_FIRST))

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, on_epoch=stop)
    train(config, resume=True)
    assert not moved(whole, load_file(Path(config.output) / "last.safetensors"))


def test_a_resumed_run_does_not_decay_to_another_start(tiny_values: dict[str, Any]) -> None:
    def model(seed: int) -> Classifier:
        torch.manual_seed(seed)
        return build_model(ModelConfig(backbone="test_resnet", weights="none"), 4)

    tiny_values["optimizer"] |= {"decay_to_start": 1.0}
    config = parse_config(named(tiny_values, "own", "all", epochs=2))

    def stop(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, model=model(0), on_epoch=stop)
    with pytest.raises(ConfigError, match="decay_to_start decays to are others"):
        train(config, model=model(1), resume=True)
    train(config, model=model(0), resume=True)


@pytest.mark.parametrize(
    ("learn", "freeze"), [("lora", []), ("all", "all")], ids=["adapters", "frozen"]
)
def test_decay_of_nothing_is_refused(tiny_values: dict[str, Any], learn: str, freeze: Any) -> None:
    tiny_values["optimizer"] |= {"decay_to_start": 1.0}
    tiny_values["model"] |= {"freeze": freeze}
    with pytest.raises(ConfigError, match="nothing of the backbone's own weights learns"):
        train(parse_config(named(tiny_values, "refused", learn)))


def test_decay_of_a_model_without_backbone_is_refused(tiny_values: dict[str, Any]) -> None:
    tiny_values["optimizer"] |= {"decay_to_start": 1.0}
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4))
    with pytest.raises(ConfigError, match=r"optimizer.decay_to_start: a model of your own"):
        train(parse_config(named(tiny_values, "refused", "all")), model=model)
