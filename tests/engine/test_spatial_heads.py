"""Runs with a head that looks at the feature map: on images, on cached maps, resumed, in stages."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mlt.config import load_config, parse_config
from mlt.config.load import shipped_configs
from mlt.data.run_data import load_data
from mlt.engine.train import train
from mlt.errors import ConfigError
from mlt.features.compute import FrozenBackbone
from mlt.inference import Predictor
from mlt.inference.export import export
from mlt.models.checkpoint import load_checkpoint
from mlt.models.heads import CSRA, conditional_shares, graph_weights
from mlt.models.heads.settings import CSRAHead
from mlt.predictions import Predictions

LOGIT_ERROR = 2e-3
"""What float16 maps change in a logit, at most."""

CSRA_OPTIONS = {
    "name": "csra",
    "temperatures": [1, "max"],
    "standardize": True,
    "power": 0.5,
}


@pytest.fixture(params=["test_resnet", "test_vit"])
def values(request: pytest.FixtureRequest, tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Residual attention on maps of 2 x 2 or 4 x 4 positions, without random transforms."""
    tiny_values["model"] |= {"backbone": request.param, "head": CSRA_OPTIONS}
    tiny_values["transforms"] = {"name": "plain", "size": 64, "shift": 0, "flip": 0.0}
    tiny_values["training"] |= {"epochs": 2, "batch_size": 16, "workers": 0}
    return tiny_values


def run(values: dict[str, Any], name: str, **training: Any) -> tuple[Path, Predictions]:
    """Train in a folder of that name."""
    folder = Path(values["output"]).with_name(name)
    train(parse_config(values | {"output": str(folder), "training": values["training"] | training}))
    return folder, Predictions.load(folder / "predictions.npz")


def test_cached_maps_give_what_images_give(
    values: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    values["model"]["freeze"] = "all"
    values["evaluation"] = values.get("evaluation", {}) | {"mirror": True}
    values["training"]["features"] = {"mirror": False, "crops": 0}
    folder, cached = run(values, "cached")
    _, images = run(values, "images", features="none")
    error = np.abs(cached.logits - images.logits).max()
    assert 0 < error < LOGIT_ERROR  # 0 would mean that nothing was rounded, so nothing cached
    kept = sum(file.stat().st_size for file in folder.parent.rglob("features/*/*.npy"))
    said = next(text for text in caplog.messages if text.startswith("the head learns from"))
    megabytes = float(said.partition(": ")[2].split(" MB")[0])
    assert kept == pytest.approx(megabytes * 1e6, rel=0.05)  # and the headers of the files
    compute = FrozenBackbone.__call__

    def only_for_the_shape(self: FrozenBackbone, images: torch.Tensor) -> np.ndarray:
        assert len(images) == 1
        assert not images.any()
        return compute(self, images)

    monkeypatch.setattr(FrozenBackbone, "__call__", only_for_the_shape)
    _, again = run(values, "again")
    np.testing.assert_array_equal(again.logits, cached.logits)


def test_maps_are_not_taken_for_pooled_features(values: dict[str, Any]) -> None:
    values["model"]["freeze"] = "all"
    run(values, "maps")
    folder = Path(values["output"]).with_name("maps")
    of_maps = {path.name for path in folder.parent.rglob("features/*") if path.is_dir()}
    values["model"] |= {"head": "linear"}
    _, found = run(values, "pooled")
    of_both = {path.name for path in folder.parent.rglob("features/*") if path.is_dir()}
    assert of_maps < of_both
    assert np.isfinite(found.logits).all()


def test_maps_that_are_too_large_are_refused(values: dict[str, Any]) -> None:
    values["model"]["freeze"] = "all"
    with pytest.raises(ConfigError, match=r"cache_size is 1e-06"):
        run(values, "refused", features={"cache_size": 1e-6})


@pytest.mark.parametrize("freeze", [[], "all"])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    values: dict[str, Any], freeze: Any
) -> None:
    values["model"]["freeze"] = freeze
    values["training"] |= {"accumulate": 2, "ema_decay": 0.9}
    _, whole = run(values, "whole")

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    part = parse_config(values | {"output": str(Path(values["output"]).with_name("part"))})
    with pytest.raises(KeyboardInterrupt):
        train(part, on_epoch=stop)
    train(part, resume=True)
    resumed = Predictions.load(Path(part.output) / "predictions.npz")
    np.testing.assert_array_equal(whole.logits, resumed.logits)


def test_a_checkpoint_and_an_exported_file_remember_the_head(
    values: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    folder, predictions = run(values, "run")
    model, _ = load_checkpoint(folder / "last.safetensors")
    assert isinstance(model.head, CSRA)
    assert model.head.temperatures == (1.0, float("inf"))
    attention = model.head.attention(model.forward_features(torch.zeros(2, 3, 64, 64)))
    assert attention.shape[:2] == (2, predictions.logits.shape[1])
    predictor = Predictor.from_checkpoint(folder / "last.safetensors", device="cpu")
    assert export(predictor, tmp_path / "model.onnx") < 1e-5


@pytest.mark.parametrize(
    "head",
    [
        {"name": "cosine", "learn_scale": True, "standardize": True},
        {"name": "query", "width": 16, "self_attention": True},
        {"name": "ml_decoder", "width": 16, "groups": 2},
        {"name": "gcn", "node_width": 8, "hidden_width": 16, "shrinkage": 1.0},
    ],
    ids=lambda head: head["name"],
)
def test_each_head_is_resumed_cached_kept_and_exported(
    tiny_values: dict[str, Any], head: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    tiny_values["model"] |= {"backbone": "test_resnet", "head": head, "freeze": "all"}
    tiny_values["transforms"] = {"name": "plain", "size": 64, "shift": 0, "flip": 0.0}
    tiny_values["training"] |= {"epochs": 2, "batch_size": 16, "workers": 0}
    tiny_values["training"] |= {"accumulate": 2, "ema_decay": 0.9}
    folder, whole = run(tiny_values, "whole")

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    part = parse_config(tiny_values | {"output": str(tmp_path / "part")})
    with pytest.raises(KeyboardInterrupt):
        train(part, on_epoch=stop)
    train(part, resume=True)
    resumed = Predictions.load(Path(part.output) / "predictions.npz")
    np.testing.assert_array_equal(whole.logits, resumed.logits)
    # Dropout is drawn for features as for images.
    _, images = run(tiny_values, "images", features="none")
    assert np.abs(whole.logits - images.logits).max() < 0.02

    model, info = load_checkpoint(folder / "last.safetensors")
    assert info.model["head"]["name"] == head["name"]
    if head["name"] == "gcn":
        table = load_data(parse_config(tiny_values).data, None).train
        shares = conditional_shares(table.cooccurrence(), len(table), 1.0)
        np.testing.assert_allclose(model.head.graph, graph_weights(shares, 0.4, 0.2), rtol=1e-6)
    predictor = Predictor.from_checkpoint(folder / "last.safetensors", device="cpu")
    assert export(predictor, tmp_path / "model.onnx") < 1e-5


def test_stages_that_need_a_last_linear_layer_refuse_other_heads(values: dict[str, Any]) -> None:
    for head, epochs in (({"tau": 1.0}, 0), ("lws", 1)):
        stages = [{"epochs": 1}, {"epochs": epochs, "head": head}]
        training = {k: v for k, v in values["training"].items() if k != "epochs"}
        with pytest.raises(ConfigError, match=r"training\.stages\.1\.head: .*linear"):
            parse_config(values | {"training": training | {"stages": stages}})


def test_a_stage_may_begin_with_a_fresh_head_and_freeze(values: dict[str, Any]) -> None:
    stages = [{"epochs": 1}, {"epochs": 1, "head": "reinit", "freeze": "all"}]
    folder, found = run(values, "stages", stages=stages)
    assert np.isfinite(found.logits).all()
    assert isinstance(load_checkpoint(folder / "last.safetensors")[0].head, CSRA)


def test_a_head_may_be_given_by_its_name(tiny_values: dict[str, Any]) -> None:
    tiny_values["model"]["head"] = "csra"
    by_name = parse_config(tiny_values)
    tiny_values["model"]["head"] = {"name": "csra"}
    assert parse_config(tiny_values) == by_name
    assert by_name.model.head == CSRAHead(name="csra")
    tiny_values["model"]["head"] = "linaer"
    with pytest.raises(ConfigError, match=r"model\.head.*linear"):
        parse_config(tiny_values)


def test_a_head_may_be_set_by_its_name_and_given_options(tmp_path: Path) -> None:
    overrides = ["model.head=csra", "model.head.temperatures=[1, 2, 4, max]"]
    config = load_config(shipped_configs()["own_data_coco"], overrides)
    assert config.model.head == CSRAHead(name="csra", temperatures=(1, 2, 4, "max"))


def test_lws_with_the_linear_head_by_name(tiny_values: dict[str, Any]) -> None:
    tiny_values["model"]["head"] = "linear"
    tiny_values["training"] |= {
        "epochs": 2,
        "stages": [{"epochs": 1}, {"epochs": 1, "head": "lws"}],
    }
    config = parse_config(tiny_values)
    assert config.model.head.class_scale  # type: ignore[union-attr]
