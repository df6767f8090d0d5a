"""Prediction from a checkpoint alone, held against the evaluation of its run."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mlt.errors import ConfigError, DataError
from mlt.inference import NoPrediction, Predictor, find_images
from mlt.inference.output import Format, write_predictions
from mlt.inference.predictor import Prediction
from mlt.metrics import Predictions, tune_decision
from mlt.models.checkpoint import save_decision


@pytest.fixture
def predictor(tiny_run: Path) -> Predictor:
    return Predictor.from_checkpoint(tiny_run / "last.safetensors", device="cpu")


@pytest.fixture
def images(tiny_source: Path) -> list[Path]:
    return find_images([tiny_source / "test"])


@pytest.mark.parametrize("workers", [0, 2])
def test_logits_are_those_of_the_evaluation(
    predictor: Predictor, images: list[Path], tiny_run: Path, workers: int
) -> None:
    evaluated = Predictions.load(tiny_run / "predictions.npz")
    predicted = list(predictor.predict(images, batch_size=7, workers=workers))
    assert [p.path for p in predicted] == images
    logits = np.stack([p.logits for p in predicted])
    np.testing.assert_allclose(logits, evaluated.logits, atol=1e-4)
    for one in predicted:
        np.testing.assert_allclose(one.probabilities, 1 / (1 + np.exp(-one.logits)), rtol=1e-6)
        np.testing.assert_array_equal(one.given, one.logits >= 0)


def test_images_in_memory(predictor: Predictor, images: list[Path]) -> None:
    pictures = [Image.open(path).convert("RGB") for path in images[:3]]
    expected = np.stack([p.logits for p in predictor.predict(images[:3])])
    np.testing.assert_allclose(predictor.logits(pictures), expected, atol=1e-5)
    assert predictor.logits([]).shape == (0, 4)


def test_mirror_averages_both_views(predictor: Predictor, images: list[Path]) -> None:
    picture = Image.open(images[0]).convert("RGB")
    turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    expected = predictor.logits([picture, turned]).mean(axis=0)
    np.testing.assert_allclose(predictor.logits([picture], mirror=True)[0], expected, atol=1e-5)
    (predicted,) = predictor.predict(images[:1], mirror=True)
    np.testing.assert_allclose(predicted.logits, expected, atol=1e-5)


def test_broken_images_do_not_stop_the_rest(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    broken, absent = tmp_path / "broken.jpg", tmp_path / "absent.jpg"
    broken.write_bytes(b"not an image")
    problems: dict[Path, str] = {}
    paths = [broken, images[0], absent, images[1]]
    predicted = list(predictor.predict(paths, batch_size=2, problems=problems))
    assert [p.path for p in predicted] == images[:2]
    assert list(problems) == [broken, absent]
    assert "broken.jpg" in problems[broken]
    assert "does not exist" in problems[absent]
    assert list(predictor.predict([broken], problems={})) == []
    with pytest.raises(DataError, match="broken"):
        list(predictor.predict(paths))
    with pytest.raises(ConfigError, match="batch_size"):
        list(predictor.predict(paths, batch_size=0))


def test_thresholds_and_calibration_travel_with_the_checkpoint(
    tiny_run: Path, images: list[Path], tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copy(tiny_run / "last.safetensors", tmp_path / "moved.safetensors"))
    before = Predictor.from_checkpoint(checkpoint).logits([Image.open(images[0])])
    evaluated = Predictions.load(tiny_run / "predictions.npz")
    tuned = tune_decision(evaluated, goal="recall", target=0.9)
    save_decision(checkpoint, tuned.to_json())
    predictor = Predictor.from_checkpoint(checkpoint)
    assert predictor.decision == tuned.decision
    np.testing.assert_array_equal(predictor.logits([Image.open(images[0])]), before)
    predicted = list(predictor.predict(images))
    logits = np.stack([p.logits for p in predicted])
    lines = tuned.decision.calibration
    expected = 1 / (1 + np.exp(-(logits * lines.slopes + lines.intercepts)))
    np.testing.assert_allclose(np.stack([p.probabilities for p in predicted]), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        np.stack([p.given for p in predicted]), logits >= tuned.decision.thresholds.values
    )


def test_csv_can_be_read_back_as_a_list_of_images(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    predicted = list(predictor.predict(images[:3]))
    with table.open("w", newline="") as file:
        assert write_predictions(file, predicted, predictor.class_names, "csv") == 3
    assert find_images([table]) == images[:3]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, one in zip(rows, predicted):
        values = [float(row[name]) for name in predictor.class_names]
        np.testing.assert_allclose(values, one.probabilities, rtol=1e-5)
        given = {predictor.class_names[c] for c in np.flatnonzero(one.given)}
        assert set(filter(None, row["labels"].split("|"))) == given


def test_csv_needs_classes_that_are_not_called_like_its_columns() -> None:
    file = io.StringIO()
    for form in ("table", "jsonl"):
        write_predictions(file, [], ["cat", "labels"], form)
    with pytest.raises(ConfigError, match=r"class 'labels' is called like a column .* jsonl"):
        write_predictions(file, [], ["cat", "labels"], "csv")
    assert not file.getvalue()


def test_json_lines_and_top(predictor: Predictor, images: list[Path]) -> None:
    (one,) = predictor.predict(images[:1])
    file = io.StringIO()
    write_predictions(file, [one], predictor.class_names, "jsonl", top=2)
    record = json.loads(file.getvalue())
    ranked = sorted(record["probabilities"], key=lambda name: -record["probabilities"][name])
    assert record["labels"] == ranked[:2]
    assert list(record["probabilities"]) == list(predictor.class_names)


def test_nan_is_an_error_and_never_written(predictor: Predictor, images: list[Path]) -> None:
    whole = predictor.model

    class NanForTheSecond(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            logits = whole(batch).clone()
            logits[1, 2] = torch.nan
            logits[0, 0] = torch.inf
            return logits

    predictor.model = NanForTheSecond()
    answers = list(predictor.predict_each(images[:3], batch_size=3))
    assert [answer.path for answer in answers] == images[:3]
    assert isinstance(answers[1], NoPrediction)
    assert f"class {predictor.class_names[2]!r}" in answers[1].error
    for form in ("jsonl", "csv", "table"):
        file = io.StringIO()
        write_predictions(file, answers, predictor.class_names, form)
        lines = file.getvalue().splitlines()
        assert "gives NaN for" in lines[-2]
        if form == "jsonl":
            records = [json.loads(line, parse_constant=pytest.fail) for line in lines]
            assert records[1].keys() == {"id", "path", "error"}
            assert records[0]["probabilities"][predictor.class_names[0]] == 1
    problems: dict[Path, str] = {}
    kept = list(predictor.predict(images[:3], batch_size=3, problems=problems))
    assert [p.path for p in kept] == [images[0], images[2]]
    assert list(problems) == [images[1]]
    with pytest.raises(DataError, match="gives NaN"):
        list(predictor.predict(images[:3], batch_size=3))


def prediction(name: str) -> Prediction:
    """One that says nothing of interest."""
    return Prediction(Path(name), np.zeros(1), np.full(1, 0.5), np.ones(1, bool))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_names_that_cannot_be_encoded_are_escaped_and_the_next_are_written(
    form: Format, encoding: str, tmp_path: Path
) -> None:
    """A file name that is not UTF-8, and characters that the file's encoding lacks."""
    names = ["caf\udce9.png", "é猫.png", "last.png"]
    output = tmp_path / "output"
    with output.open("w", encoding=encoding, newline="") as file:
        assert write_predictions(file, map(prediction, names), ["▼ cat"], form) == 3
    text = output.read_text(encoding=encoding)
    assert "caf\\udce9.png" in text
    if form == "jsonl":
        records = [json.loads(line) for line in text.splitlines()]
        assert [record["path"] for record in records] == names
        assert [record["labels"] for record in records] == [["▼ cat"]] * 3
    else:
        assert ("é猫.png" if encoding == "utf-8" else "é\\u732b.png") in text
        assert "last.png" in text.splitlines()[-1]
