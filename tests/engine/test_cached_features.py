"""Runs on cached features of a frozen backbone, held against runs on the images."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mlt
from mlt.config import parse_config
from mlt.engine.cached_features import with_cached_features
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.setup import Setup, prepare
from mlt.engine.train import train
from mlt.errors import ConfigError
from mlt.features.compute import FrozenBackbone
from mlt.features.views import backbone_digest
from mlt.models import build_model
from mlt.models.backbone import build_backbone
from mlt.models.checkpoint import load_checkpoint
from mlt.models.settings import ModelConfig
from mlt.predictions import Predictions

LOGIT_ERROR = 2e-3
"""What float16 features change in a logit, at most; seen on these runs: 5e-4."""


@pytest.fixture
def frozen(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """A head on a frozen backbone, and transforms without randomness."""
    tiny_values["model"] |= {"freeze": "all", "head": {"name": "linear", "standardize": True}}
    tiny_values["transforms"] = {"name": "plain", "size": 32, "shift": 0, "flip": 0.0}
    tiny_values["training"] |= {"epochs": 3, "batch_size": 16, "workers": 0}
    return tiny_values


def changed(values: dict[str, Any], name: str, **training: Any) -> dict[str, Any]:
    """The same run in another folder, with other keys of the section training."""
    output = str(Path(values["output"]).with_name(name))
    return values | {"output": output, "training": values["training"] | training}


def predictions(values: dict[str, Any]) -> Predictions:
    train(parse_config(values))
    return Predictions.load(Path(values["output"]) / "predictions.npz")


def test_without_augmentation_a_run_on_features_is_that_on_images(frozen: dict[str, Any]) -> None:
    frozen["evaluation"] = frozen.get("evaluation", {}) | {"mirror": True}
    frozen["training"]["ema_decay"] = 0.9
    cached = predictions(changed(frozen, "cached"))
    images = predictions(changed(frozen, "images", features="none"))
    np.testing.assert_array_equal(cached.image_ids, images.image_ids)
    error = np.abs(cached.logits - images.logits).max()
    assert 0 < error < LOGIT_ERROR  # 0 would mean that nothing was rounded, so nothing cached


def test_the_checkpoint_is_one_of_the_whole_model(frozen: dict[str, Any]) -> None:
    cached = predictions(frozen)
    file = Path(frozen["output"]) / "last.safetensors"
    model, _ = load_checkpoint(file)
    assert type(model) is mlt.models.Classifier
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
    again = evaluate_checkpoint(parse_config(frozen), file)
    np.testing.assert_allclose(again.logits, cached.logits, atol=LOGIT_ERROR)


def test_a_second_run_computes_nothing_and_is_the_same(
    frozen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen["transforms"] |= {"shift": 2, "flip": 0.5}
    first = predictions(changed(frozen, "first"))
    monkeypatch.setattr(FrozenBackbone, "__call__", None)
    second = predictions(changed(frozen, "second"))
    np.testing.assert_array_equal(first.logits, second.logits)


@pytest.mark.parametrize(
    ("change", "computed"),
    [
        ({}, False),
        ({"seed": 1}, False),
        ({"loss": {"preset": "focal"}}, False),
        ({"model": {"head": {"name": "projection", "width": 8}}}, False),
        ({"training": {"features": {"crops": 2}}}, False),
        ({"training": {"features": {"crops": 4}}}, True),
        ({"transforms": {"shift": 3}}, True),
        ({"model": {"mean": [0.1, 0.1, 0.1]}}, True),
        ({"model": {"weights": {"file": "other.safetensors"}}}, True),
    ],
)
def test_what_features_depend_on(
    frozen: dict[str, Any], tmp_path: Path, change: dict[str, Any], computed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(["weights.safetensors", "other.safetensors"]):
        torch.manual_seed(seed)
        random = build_backbone(ModelConfig(backbone="test_resnet", weights="none"))
        save_file(random.state_dict(), name)
    frozen["model"] |= {"backbone": "test_resnet", "weights": {"file": "weights.safetensors"}}
    frozen["transforms"] |= {"shift": 2, "flip": 0.5}
    on_features(frozen, tmp_path)
    calls = []
    compute = FrozenBackbone.__call__

    def counted(backbone: FrozenBackbone, images: torch.Tensor) -> Any:
        calls.append(len(images))
        return compute(backbone, images)

    monkeypatch.setattr(FrozenBackbone, "__call__", counted)
    section = {
        key: frozen[key] | value if key in ("model", "training", "transforms") else value
        for key, value in change.items()
    }
    on_features(frozen | section, tmp_path)
    assert bool(calls) == computed


def on_features(values: dict[str, Any], cache: Path) -> Setup:
    return with_cached_features(prepare(parse_config(values), None), cache)


def test_batches_are_those_of_the_images_and_each_draw_is_one_of_the_views(
    frozen: dict[str, Any], tmp_path: Path
) -> None:
    frozen["transforms"] |= {"shift": 2, "flip": 0.5}
    images = prepare(parse_config(frozen), None)
    cached = on_features(frozen, tmp_path)
    for setup in (images, cached):
        setup.train_loader.set_epoch(1, start_batch=1)
    seen = set()
    for of_images, of_features in zip(images.train_loader, cached.train_loader, strict=True):
        assert of_images.indices.tolist() == of_features.indices.tolist()
        assert torch.equal(of_images.targets, of_features.targets)
        for row, features in zip(of_features.indices.tolist(), of_features.images):
            views = [stored[row] for stored in cached.train_loader.dataset.features.views]
            same = {k for k, view in enumerate(views) if np.array_equal(view, features)}
            assert same
            seen |= same
    assert seen == {0, 1, 2, 3, 4}  # clean, mirror and three crops


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(frozen: dict[str, Any]) -> None:
    frozen["transforms"] |= {"shift": 2, "flip": 0.5}
    whole = predictions(changed(frozen, "whole"))

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    part = parse_config(changed(frozen, "part"))
    with pytest.raises(KeyboardInterrupt):
        train(part, on_epoch=stop)
    train(part, resume=True)
    resumed = Predictions.load(Path(part.output) / "predictions.npz")
    np.testing.assert_array_equal(whole.logits, resumed.logits)


def test_an_image_that_cannot_be_read_is_skipped_as_without_cache(
    frozen: dict[str, Any], tiny_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frozen["data"] |= {"root": str(tiny_root), "on_image_error": "skip"}
    broken = sorted((tiny_root / "train").glob("*.png"))[5]
    broken.write_bytes(b"no image")
    caplog.set_level(logging.INFO)
    predictions(changed(frozen, "cached"))
    assert "1 training images could not be read and were skipped" in caplog.text
    caplog.clear()
    frozen["data"] |= {"on_image_error": "raise"}
    with pytest.raises(mlt.errors.DataError, match=broken.name):
        predictions(changed(frozen, "refused"))


def test_features_that_take_more_than_their_room_are_refused(
    frozen: dict[str, Any], tmp_path: Path
) -> None:
    values = changed(frozen, "small", features={"cache_size": 1e-9})
    with pytest.raises(ConfigError, match=r"would take .* GB"):
        on_features(values, tmp_path)


def test_features_that_are_there_need_no_room(frozen: dict[str, Any], tmp_path: Path) -> None:
    on_features(frozen, tmp_path)
    root = tmp_path / "features"
    size = sum(file.stat().st_size for file in root.glob("*/*.npy"))
    other = root / "other" / "file.npy"
    other.parent.mkdir()
    other.write_bytes(bytes(size))
    os.utime(other, (0, 0))
    limit = {"cache_size": 2.2 * size / 1e9}
    on_features(changed(frozen, "again", features=limit), tmp_path)
    assert other.exists()
    small = {"cache_size": 1.8 * size / 1e9}
    on_features(changed(frozen, "tight", features=small), tmp_path)
    assert not other.exists()


def test_adapters_that_have_not_learnt_are_no_other_backbone(frozen: dict[str, Any]) -> None:
    plain = build_model(ModelConfig.model_validate(frozen["model"]), 4)
    weights = plain.backbone.state_dict()

    def adapted(seed: int, std: float) -> str:
        torch.manual_seed(seed)
        learn = {"freeze": [], "learn": {"name": "lora", "rank": 2}}
        model = build_model(ModelConfig.model_validate(frozen["model"] | learn), 4)
        model.backbone.load_state_dict(weights, strict=False)
        for name, parameter in model.backbone.named_parameters():
            if std and name.endswith("lora_up"):
                torch.nn.init.normal_(parameter, std=std)
        return backbone_digest(model, "name")

    assert adapted(1, 0) == adapted(2, 0) == backbone_digest(plain, "name")
    assert adapted(1, 0.1) != adapted(1, 0)


def test_features_of_a_backbone_that_learns_are_refused(frozen: dict[str, Any]) -> None:
    frozen["model"]["freeze"] = ["layer1"]
    with pytest.raises(ConfigError, match=r"training\.features: only a frozen backbone"):
        parse_config(changed(frozen, "learning", features="cache"))


def test_a_model_of_ones_own_is_trained_on_images(frozen: dict[str, Any], tmp_path: Path) -> None:
    config = parse_config(frozen)
    model = prepare(config, None).training.model
    own = prepare(config, None, mlt.engine.own.Own.of(model=model))
    assert with_cached_features(own, tmp_path) is own
    assert any("model.freeze say how a model is built" in note for note in own.notes)
