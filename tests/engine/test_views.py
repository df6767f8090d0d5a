"""Views and ensembles in evaluation and prediction, held against answers averaged by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import mlt
from mlt.cli import main
from mlt.config import parse_config
from mlt.data.transforms import Preprocessing, eval_transform
from mlt.data.view_settings import ViewConfig
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.train import train
from mlt.errors import CheckpointError, ConfigError
from mlt.files import read_json_object
from mlt.inference import Predictor, find_images
from mlt.inference.export import export
from mlt.models.checkpoint import load_checkpoint, save_checkpoint
from mlt.predictions import Predictions

VIEWS = ["whole", "mirror", "five_crops", {"size": 40}]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def answers_by_hand(checkpoint: Path, images: list[Path]) -> np.ndarray:
    """The logits (views, N, C) of VIEWS, each cut out by Pillow and shown by itself."""
    model, info = load_checkpoint(checkpoint)
    form = Preprocessing.from_dict(info.preprocessing)
    plain = eval_transform(form)
    large = eval_transform(dataclasses.replace(form, size=40))
    crop = round(32 * 7 / 8)
    start = 32 - crop
    corners = [(0, 0), (start, 0), (0, start), (start, start), (start // 2, start // 2)]
    rows = []
    for file in images:
        image = Image.open(file).convert("RGB")
        assert image.size == (32, 32)
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        crops = [image.crop((x, y, x + crop, y + crop)) for x, y in corners]
        shown = [plain(one) for one in (image, mirrored, *crops)]
        with torch.no_grad():
            rows.append(torch.cat([model(torch.stack(shown)), model(large(image)[None])]).numpy())
    return np.stack(rows, axis=1)


@pytest.fixture
def images(tiny_source: Path) -> list[Path]:
    return find_images([tiny_source / "test"])


@pytest.fixture(scope="module")
def by_hand(tiny_run: Path, tiny_source: Path) -> np.ndarray:
    return answers_by_hand(tiny_run / "last.safetensors", find_images([tiny_source / "test"]))


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Those of the tiny run, with views."""
    tiny_values["evaluation"] |= {"views": VIEWS}
    return tiny_values


@pytest.fixture(scope="module")
def other_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of another seed, size and order of classes."""
    folder = tmp_path_factory.mktemp("other")
    model, info = load_checkpoint(tiny_run / "last.safetensors")
    generator = torch.Generator().manual_seed(1)
    state = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator)
        if name.startswith("head") and value.is_floating_point()
        else value
        for name, value in model.state_dict().items()
    }
    turned = {
        name: value.flip(0) if name.startswith("head") and len(value) == 4 else value
        for name, value in state.items()
    }
    changed = dataclasses.replace(
        info,
        class_names=info.class_names[::-1],
        class_counts=info.class_counts[::-1],
        preprocessing=info.preprocessing | {"size": 48},
    )
    save_checkpoint(folder / "last.safetensors", turned, changed)
    # The same with the classes of the data, for what is computed by hand.
    straight = dataclasses.replace(info, preprocessing=changed.preprocessing)
    save_checkpoint(folder / "straight.safetensors", state, straight)
    return folder


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_evaluation_averages_the_views(
    values: dict[str, Any], tiny_run: Path, by_hand: np.ndarray, average: str
) -> None:
    values["evaluation"] |= {"average": average}
    assert by_hand.std(axis=0).max() > 0.1  # views that answer alike would show nothing
    seen = evaluate_checkpoint(parse_config(values), tiny_run / "last.safetensors")
    if average == "logits":
        np.testing.assert_allclose(seen.logits, by_hand.mean(axis=0), atol=1e-5)
    else:
        expected = sigmoid(by_hand).mean(axis=0)
        np.testing.assert_allclose(sigmoid(seen.logits), expected, atol=1e-6)


def test_training_evaluates_with_the_views(values: dict[str, Any], images: list[Path]) -> None:
    values["training"] |= {"epochs": 1}
    train(parse_config(values))
    folder = Path(values["output"])
    expected = answers_by_hand(folder / "last.safetensors", images).mean(axis=0)
    saved = Predictions.load(folder / "predictions.npz")
    np.testing.assert_allclose(saved.logits, expected, atol=1e-5)


def test_the_predictor_averages_the_views(
    tiny_run: Path, images: list[Path], by_hand: np.ndarray
) -> None:
    views = [*VIEWS[:3], ViewConfig(size=40)]
    predictor = Predictor.from_checkpoint(tiny_run / "last.safetensors", "cpu", views=views)
    predicted = np.stack([one.logits for one in predictor.predict(images[:5], batch_size=2)])
    np.testing.assert_allclose(predicted, by_hand.mean(axis=0)[:5], atol=1e-5)
    (one,) = predictor.logits([Image.open(images[0]).convert("RGB")])
    np.testing.assert_allclose(one, by_hand.mean(axis=0)[0], atol=1e-5)


def test_mirror_shows_the_mirror_image_of_each_view(tiny_run: Path, images: list[Path]) -> None:
    file = tiny_run / "last.safetensors"
    ten = Predictor.from_checkpoint(file, "cpu", views=["ten_crops"])
    five = Predictor.from_checkpoint(file, "cpu", views=["five_crops"])
    picture = [Image.open(images[0]).convert("RGB")]
    np.testing.assert_array_equal(ten.logits(picture), five.logits(picture, mirror=True))
    assert np.abs(ten.logits(picture) - five.logits(picture)).max() > 1e-3


def test_an_image_that_cannot_be_read_is_left_out_of_all_views(
    values: dict[str, Any], tiny_run: Path, tiny_root: Path, by_hand: np.ndarray
) -> None:
    values["data"] |= {"root": str(tiny_root), "on_image_error": "skip"}
    first = sorted((tiny_root / "test").iterdir())[0]
    first.write_bytes(first.read_bytes()[:20])
    seen = evaluate_checkpoint(parse_config(values), tiny_run / "last.safetensors")
    assert len(seen) == by_hand.shape[1] - 1
    np.testing.assert_allclose(seen.logits, by_hand.mean(axis=0)[1:], atol=1e-5)


def test_a_size_that_a_model_cannot_take_is_refused_at_the_start(
    values: dict[str, Any], tmp_path: Path
) -> None:
    values["model"] |= {"backbone": "test_vit"}
    with pytest.raises(ConfigError, match=r"evaluation.views: the model cannot take .* 40 x 40"):
        train(parse_config(values))
    assert not Path(values["output"], "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ([], "views"),
        (["hole"], "whole"),
        (["whole", "whole"], "a view is there twice"),
        (["whole", "mirror", {"mirror": True}], "a view is there twice"),
        ([{"zoom": 0.5}], "zoom"),
        ([{"size": 0}], "size"),
        ([{"sise": 3}], "sise"),
    ],
)
def test_views_that_make_no_sense_are_refused(
    values: dict[str, Any], views: list[Any], said: str
) -> None:
    values["evaluation"] |= {"views": views}
    with pytest.raises(ConfigError, match=said) as caught:
        parse_config(values)
    assert "evaluation" in str(caught.value)


def test_views_of_a_data_sets_own_tensors(values: dict[str, Any]) -> None:
    class Tensors(torch.utils.data.Dataset):
        class_names = ("a", "b")
        targets = np.eye(2, dtype=np.int64).repeat(4, axis=0)

        def __len__(self) -> int:
            return len(self.targets)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
            image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(row))
            return image, torch.tensor(self.targets[row])

    own = {"train": Tensors(), "test": Tensors()}
    with pytest.raises(ConfigError, match="your data set gives tensors"):
        mlt.train(parse_config(values), data=own)
    values["evaluation"] |= {"views": ["whole", "mirror"], "average": "probabilities"}
    values["training"] |= {"epochs": 1, "batch_size": 4}
    mlt.train(parse_config(values), data=own)
    folder = Path(values["output"])
    model, _ = load_checkpoint(folder / "last.safetensors")
    pixels = torch.stack([own["test"][row][0] for row in range(8)])
    with torch.no_grad():
        expected = (model(pixels).sigmoid() + model(pixels.flip(-1)).sigmoid()) / 2
    saved = Predictions.load(folder / "predictions.npz")
    np.testing.assert_allclose(sigmoid(saved.logits), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("views", [["five_crops", "mirror"], ["whole", {"size": 40}]])
def test_cached_features_have_the_views(
    values: dict[str, Any], views: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Those of one size are kept; others make the run one on images, and it says so."""
    values["model"] |= {"freeze": "all"}
    values["transforms"] |= {"shift": 0, "flip": 0.0}
    values["training"] |= {"epochs": 1}
    values["evaluation"] |= {"views": views, "average": "probabilities"}
    caplog.set_level("INFO")
    train(parse_config(values))
    folder = Path(values["output"])
    kept = "evaluation.views shows images at other sizes" not in caplog.text
    assert kept == ({"size": 40} not in views)
    assert kept == ("the head learns from features" in caplog.text)
    again = evaluate_checkpoint(parse_config(values), folder / "last.safetensors")
    saved = Predictions.load(folder / "predictions.npz")
    np.testing.assert_allclose(saved.logits, again.logits, atol=2e-2 if kept else 1e-5)


@pytest.mark.parametrize("ensemble", ["logits", "probabilities"])
def test_an_ensemble_is_the_mean_of_separate_evaluations(
    tiny_values: dict[str, Any], tiny_run: Path, other_run: Path, images: list[Path],
    tmp_path: Path, ensemble: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    config = parse_config(tiny_values)
    each = [
        evaluate_checkpoint(config, file).logits
        for file in (tiny_run / "last.safetensors", other_run / "straight.safetensors")
    ]
    assert np.abs(each[0] - each[1]).max() > 0.1
    scale: Callable[[np.ndarray], np.ndarray] = (
        sigmoid if ensemble == "probabilities" else np.asarray
    )
    expected = (scale(each[0]) + scale(each[1])) / 2

    # Run folders and files, of which one has its classes in another order; CONFIG is the first's.
    command = ["evaluate", str(tiny_run), str(other_run / "last.safetensors")]
    assert main([*command, "--ensemble", ensemble, "--output", "out"]) == 0
    saved = Predictions.load("out/predictions.npz")
    np.testing.assert_allclose(scale(saved.logits), expected, atol=1e-6)
    assert main(["report", "out", "--output", "report.html"]) == 0

    files = [tiny_run / "last.safetensors", other_run / "last.safetensors"]
    predictor = Predictor.from_checkpoint(files, "cpu", ensemble=ensemble)
    predicted = np.stack([one.logits for one in predictor.predict(images)])
    np.testing.assert_allclose(scale(predicted), expected, atol=1e-5)

    summary = mlt.evaluate(config, files, ensemble=ensemble)
    assert summary.to_json() == read_json_object(Path("out/metrics.json"))


def test_an_ensemble_of_saved_predictions(
    tiny_values: dict[str, Any], tiny_run: Path, other_run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    second = evaluate_checkpoint(parse_config(tiny_values), other_run / "straight.safetensors")
    second.save("second.npz")
    first = str(tiny_run / "predictions.npz")
    assert (
        main(["evaluate", first, "second.npz", "--head", "20", "--tail", "10", "--output", "a"])
        == 0
    )
    saved = Predictions.load("a/predictions.npz")
    expected = (sigmoid(Predictions.load(first).logits) + sigmoid(second.logits)) / 2
    np.testing.assert_allclose(sigmoid(saved.logits), expected, atol=1e-6)
    capsys.readouterr()
    both = [str(tiny_run / "last.safetensors"), "second.npz"]
    assert main(["evaluate", *both]) == 2
    assert "either checkpoints or saved predictions" in capsys.readouterr().err


def test_predict_with_several_checkpoints_and_views(
    tiny_run: Path, other_run: Path, images: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tiny_run / "last.safetensors"), str(other_run / "last.safetensors")]
    command = ["predict", *files, str(images[0]), "--format", "jsonl"]
    assert main([*command, "--views", "whole, mirror, {size: 40}"]) == 0
    record = json.loads(capsys.readouterr().out)
    views = ["whole", "mirror", ViewConfig(size=40)]
    picture = [Image.open(images[0]).convert("RGB")]
    each = [
        Predictor.from_checkpoint(file, "cpu", views=views).logits(picture)[0] for file in files
    ]
    expected = (sigmoid(each[0]) + sigmoid(each[1][::-1])) / 2
    assert list(record["probabilities"]) == list(load_checkpoint(files[0])[1].class_names)
    np.testing.assert_allclose(list(record["probabilities"].values()), expected, atol=1e-5)
    assert main([*command, "--views", "hole"]) == 2
    assert "--views: views" in capsys.readouterr().err


def test_checkpoints_of_other_classes_are_no_ensemble(tiny_run: Path, tmp_path: Path) -> None:
    file = tiny_run / "last.safetensors"
    info = load_checkpoint(file)[1]
    names = ("emu", *info.class_names[1:])
    renamed = dataclasses.replace(info, class_names=names)
    save_checkpoint(tmp_path / "other.safetensors", load_file(file), renamed)
    with pytest.raises(CheckpointError, match=r"other classes .* than the first checkpoint has"):
        Predictor.from_checkpoint([file, tmp_path / "other.safetensors"])
    with pytest.raises(ConfigError, match="0 models"):
        Predictor.from_checkpoint([])


def test_neither_views_nor_ensembles_are_exported(tiny_run: Path, tmp_path: Path) -> None:
    file = tiny_run / "last.safetensors"
    for predictor in (
        Predictor.from_checkpoint(file, "cpu", views=["mirror"]),
        Predictor.from_checkpoint([file, file], "cpu"),
    ):
        with pytest.raises(ConfigError, match="views and ensembles are not in it"):
            export(predictor, tmp_path / "model.pt2")
