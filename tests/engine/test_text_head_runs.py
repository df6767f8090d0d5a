"""Runs with class embeddings: trained, not trained at all, from a checkpoint alone, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

import mlt
from mlt.config import parse_config
from mlt.data.labels import LabelTable
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.train import train
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.inference import Predictor
from mlt.inference.export import export
from mlt.language import ClassEmbeddings
from mlt.models import Classifier, build_model
from mlt.models.checkpoint import load_checkpoint, start_from
from mlt.models.checkpoint_file import read_file
from mlt.models.heads import AboutClasses, Text
from mlt.predictions import Predictions


@pytest.fixture
def values(tiny_values: dict[str, Any], tiny_names: list[str], tmp_path: Path) -> dict[str, Any]:
    """Made-up embeddings in another order than the classes of the data, and one class more."""
    names = (*reversed(tiny_names), "unicorn")
    vectors = np.random.default_rng(0).normal(size=(len(names), 6)).astype(np.float32)
    file = tmp_path / "classes.safetensors"
    ClassEmbeddings(names, vectors).save(file)
    tiny_values["model"]["head"] = {"name": "text", "embeddings": str(file)}
    tiny_values["transforms"] = {"name": "plain", "size": 32, "shift": 0, "flip": 0.0}
    return tiny_values


def run(values: dict[str, Any], name: str, **training: Any) -> tuple[Path, Predictions]:
    folder = Path(values["output"]).with_name(name)
    train(parse_config(values | {"output": str(folder), "training": values["training"] | training}))
    return folder, Predictions.load(folder / "predictions.npz")


def test_zero_shot_logits_are_cosines_with_the_right_class(
    values: dict[str, Any], tiny_names: list[str]
) -> None:
    values["model"]["prior_bias"] = False
    folder, found = run(values, "zero", epochs=0)
    model, info = load_checkpoint(folder / "last.safetensors")
    made = ClassEmbeddings.read(values["model"]["head"]["embeddings"])
    assert info.class_names == tuple(tiny_names) == found.class_names
    images = torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        features = model.head.projection(model.forward_features(images)).double().numpy()
        logits = model(images).numpy()
    for column, name in enumerate(tiny_names):
        vector = made.vectors[made.names.index(name)].astype(float)
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(vector)
        np.testing.assert_allclose(
            logits[:, column], (features @ vector) / lengths / 0.07, atol=1e-4
        )
    again = evaluate_checkpoint(parse_config(values), folder / "last.safetensors")
    np.testing.assert_allclose(again.logits, found.logits, atol=1e-5)


def test_zero_shot_where_the_right_answer_is_known(tmp_path: Path) -> None:
    """Features are mean colours; the embeddings say which colour each class has."""
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    rng = np.random.default_rng(0)
    labels = [[c for c in range(3) if rng.random() < 0.5] or [n % 3] for n in range(24)]
    for number, present in enumerate(labels):
        pixels = np.zeros((9, 9, 3), np.uint8)
        for stripe, c in enumerate(present):
            pixels[3 * stripe : 3 * stripe + 3] = list(colours.values())[c]
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    paths = [f"{number}.png" for number in range(24)]
    table = LabelTable.from_lists(range(24), paths, list(colours), labels, root=tmp_path)

    class MeanColour(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) + 0  # black is 0

    # In the order of the data, of any length: red and blue swapped would be found out.
    vectors = ClassEmbeddings(
        ("blue", "red", "green"), np.array([[0, 0, 9], [1, 0, 0], [0, 0.1, 0]], np.float32)
    ).of(table.class_names)
    model = Classifier(
        MeanColour(), Text(3, torch.from_numpy(vectors), nn.Identity()), (0,) * 3, (1,) * 3
    )
    config = parse_config(
        {
            "output": str(tmp_path / "run"),
            "device": "cpu",
            "data": {"name": "digits_mlt"},
            "model": {"backbone": "-"},
            "transforms": {"name": "plain", "size": 9, "shift": 0, "flip": 0},
            "loss": {},
            "training": {"epochs": 0, "workers": 0},
        }
    )
    summary = mlt.train(config, data={"train": table, "test": table}, model=model)
    assert summary.total == 1.0
    found = Predictions.load(tmp_path / "run" / "predictions.npz")
    for row, present in enumerate(labels):
        # n colours of equal area: the cosine with each of them is 1 / sqrt(n), with others 0.
        expected = np.zeros(3)
        expected[present] = 1 / np.sqrt(len(present)) / 0.07
        np.testing.assert_allclose(found.logits[row], expected, atol=1e-4)


def test_training_moves_what_learns_and_nothing_else(values: dict[str, Any]) -> None:
    values["model"]["freeze"] = "all"
    values["model"]["head"] |= {"residual": True}
    before, _ = run(values, "before", epochs=0)
    after, _ = run(values, "after", epochs=2)
    one, two = (load_checkpoint(f / "last.safetensors")[0].state_dict() for f in (before, after))
    moved = {name for name in one if not torch.equal(one[name], two[name])}
    assert moved == {f"head.{n}" for n in ("projection.weight", "logit_scale", "bias", "residual")}


def test_cached_features_give_what_images_give(values: dict[str, Any]) -> None:
    values["model"]["freeze"] = "all"
    features = {"mirror": False, "crops": 0}
    _, cached = run(values, "cached", features=features)
    _, images = run(values, "images", features="none")
    error = np.abs(cached.logits - images.logits).max()
    assert 0 < error < 5e-3  # 0 would mean that nothing was rounded, so nothing cached


def test_a_checkpoint_needs_no_other_file(values: dict[str, Any], tmp_path: Path) -> None:
    folder, found = run(values, "run")
    Path(values["model"]["head"]["embeddings"]).unlink()
    again = evaluate_checkpoint(parse_config(values), folder / "last.safetensors")
    np.testing.assert_allclose(again.logits, found.logits, atol=1e-5)
    predictor = Predictor.from_checkpoint(folder / "last.safetensors", "cpu")
    assert export(predictor, tmp_path / "model.onnx") < 1e-5


def test_a_checkpoint_of_the_difference(values: dict[str, Any], tmp_path: Path) -> None:
    """With the image tower's own projection, which lies in the same file as its other weights."""
    tower = "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"
    torch.save(timm.create_model(tower, num_classes=512).state_dict(), tmp_path / "tower.pt")
    names = ClassEmbeddings.read(values["model"]["head"]["embeddings"]).names
    vectors = np.random.default_rng(0).normal(size=(len(names), 512)).astype(np.float32)
    ClassEmbeddings(names, vectors).save(tmp_path / "wide.safetensors")
    values["model"] |= {
        "backbone": tower,
        "weights": {"file": str(tmp_path / "tower.pt")},
        "freeze": "all",
        "head": {"name": "text", "embeddings": str(tmp_path / "wide.safetensors")},
    }
    folder, found = run(values, "run", epochs=1, save="difference")
    stored = {name.partition(".")[0] for name in read_file(folder / "last.safetensors")[0]}
    assert stored == {"head"}
    (tmp_path / "wide.safetensors").unlink()
    again = evaluate_checkpoint(parse_config(values), folder / "last.safetensors")
    # The run was evaluated on cached features, which are rounded.
    np.testing.assert_allclose(again.logits, found.logits, atol=5e-2)


def test_resumed_runs_end_where_others_do(values: dict[str, Any]) -> None:
    _, whole = run(values, "whole", epochs=2)

    def stop(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    folder = Path(values["output"]).with_name("resumed")
    config = parse_config(
        values | {"output": str(folder), "training": values["training"] | {"epochs": 2}}
    )
    with pytest.raises(KeyboardInterrupt):
        train(config, on_epoch=stop)
    Path(values["model"]["head"]["embeddings"]).unlink()
    train(config, resume=True)
    resumed = Predictions.load(folder / "predictions.npz")
    np.testing.assert_array_equal(resumed.logits, whole.logits)


def test_a_run_on_other_classes_begins_with_the_projection(values: dict[str, Any]) -> None:
    """It belongs to the towers, and a random one would lose what they know of each other."""
    folder, _ = run(values, "first", epochs=0)
    trained = load_checkpoint(folder / "last.safetensors")[0].head
    section = parse_config(values).model
    vectors = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    about = AboutClasses(("a", "b", "c"), embeddings=vectors)
    model = build_model(section, 3, about=about)
    note = start_from(model, folder / "last.safetensors", about.names)
    assert "its backbone, and a fresh head with its projection, because the classes differ" in note
    assert torch.equal(model.head.projection.weight, trained.projection.weight)
    np.testing.assert_array_equal(model.head.embeddings, vectors)
    linear, _ = run(values | {"model": values["model"] | {"head": "linear"}}, "linear", epochs=0)
    note = start_from(model, linear / "last.safetensors", trained_names(folder))
    assert "a fresh head with a random projection, because model.head is another one" in note


def trained_names(folder: Path) -> tuple[str, ...]:
    return load_checkpoint(folder / "last.safetensors")[1].class_names


def test_a_class_without_embedding(values: dict[str, Any], tiny_names: list[str]) -> None:
    file = values["model"]["head"]["embeddings"]
    ClassEmbeddings(tuple(tiny_names[:2]), np.eye(2, dtype=np.float32)).save(file)
    with pytest.raises(
        DataError, match=rf"model.head.embeddings: .*2 of 4 classes: {', '.join(tiny_names[2:])}"
    ):
        run(values, "run")


def test_a_file_that_is_not_there(values: dict[str, Any]) -> None:
    values["model"]["head"]["embeddings"] = "nowhere.safetensors"
    with pytest.raises(MissingFileError, match=r"model.head.embeddings: .*mlt embed-classes"):
        run(values, "run")


@pytest.mark.parametrize("head", ["reinit", "lws", {"tau": 1.0}])
def test_stages_that_change_another_kind_of_head(values: dict[str, Any], head: object) -> None:
    values["training"]["stages"] = [
        {"epochs": 1},
        {"epochs": 0 if isinstance(head, dict) else 1, "head": head},
    ]
    del values["training"]["epochs"]
    with pytest.raises(ConfigError, match=r"training.stages.1.head: .*(model.head|text)"):
        parse_config(values)
