"""Exported files against the model they came from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mlt.data.images import load_image
from mlt.data.transforms import eval_transform
from mlt.errors import ConfigError, DataError
from mlt.inference import Predictor, find_images
from mlt.inference.export import ExportedModel, export
from mlt.inference.export import _describe as describe
from mlt.metrics import Calibration, Decision, Thresholds


def with_decision(predictor: Predictor) -> Predictor:
    """The predictor with a calibration and thresholds that differ by class."""
    names = predictor.class_names
    line = Calibration(names, (0.5, 1.0, 2.0, 3.0), (0.1, -0.2, 0.3, -0.4), "platt_per_label")
    limits = (0.0, -1.0, float("inf"), 2.0)
    thresholds = Thresholds(names, limits, 0.0, "precision", 0.9, 10.0, (9, 8, 7, 6))
    return Predictor(
        predictor.model, names, predictor.preprocessing, Decision(line, thresholds), "cpu"
    )


@pytest.fixture
def predictor(tiny_run: Path) -> Predictor:
    return Predictor.from_checkpoint(tiny_run / "last.safetensors", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_file_answers_as_the_model_does_on_photographs(
    predictor: Predictor, tmp_path: Path, shared: Path, suffix: str
) -> None:
    photographs = find_images([shared / "data" / "coco-mini" / "val2017"])[:10]
    file = tmp_path / f"model{suffix}"
    assert export(predictor, file, photographs=photographs) < 1e-4
    run, description = open_exported(file)
    transform = eval_transform(predictor.preprocessing)
    images = torch.stack([transform(load_image(path)) for path in photographs]).numpy()
    expected = np.stack([p.logits for p in predictor.predict(photographs)])
    np.testing.assert_allclose(run(images), expected, atol=1e-4)
    np.testing.assert_allclose(run(images[:1]), expected[:1], atol=1e-4)
    assert description["class_names"] == list(predictor.class_names)
    assert description["output"] == "logits"
    assert description["thresholds"] == [0.0] * 4
    assert description["calibration"] == {"slopes": [1.0] * 4, "intercepts": [0.0] * 4}
    assert description["preprocessing"] == predictor.preprocessing.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_normalisation_and_calibrated_sigmoid_inside(
    predictor: Predictor, tmp_path: Path, suffix: str
) -> None:
    predictor = with_decision(predictor)
    file = tmp_path / f"model{suffix}"
    export(predictor, file, normalise=True, sigmoid=True)
    run, description = open_exported(file)
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)  # the model's size
    )
    pixels = np.asarray(picture, dtype=np.float32).transpose(2, 0, 1)[None] / 255
    expected = predictor.decision.probabilities(predictor.logits([picture]))
    np.testing.assert_allclose(run(pixels), expected, atol=1e-4)
    limits = 1 / (1 + np.exp([-0.1, 1.2]))  # sigmoid of slope * threshold + intercept
    assert description["thresholds"][:2] == pytest.approx(limits.tolist())
    assert description["thresholds"][2] is None
    assert description["output"] == "probabilities"


@pytest.mark.parametrize("sigmoid", [False, True])
def test_a_label_that_is_always_given_has_a_threshold_that_every_output_reaches(
    predictor: Predictor, sigmoid: bool
) -> None:
    names, limits = predictor.class_names, (-np.inf, 0.0, np.inf, 1.0)
    thresholds = Thresholds(names, limits, 0.0, "rate", 1.0, 10.0, (9, 8, 7, 6))
    decision = Decision(Calibration.identity(names), thresholds)
    other = Predictor(predictor.model, names, predictor.preprocessing, decision, "cpu")
    always, _, never, _ = describe(other, normalise=False, sigmoid=sigmoid)["thresholds"]
    assert always == (0 if sigmoid else float(np.finfo(np.float32).min))
    assert never is None


def test_another_suffix_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.onnx or \.pt2"):
        export(predictor, tmp_path / "model.pb")


@pytest.mark.slow
def test_a_file_that_answers_differently_is_not_kept(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ExportedModel.forward
    traced = torch.compiler.is_exporting

    def forward(self: ExportedModel, images: torch.Tensor) -> torch.Tensor:
        return honest(self, images) + (1.0 if traced() else 0.0)

    monkeypatch.setattr(ExportedModel, "forward", forward)
    with pytest.raises(DataError, match="differs from the model by"):
        export(predictor, tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def open_exported(file: Path):
    """A function from arrays to arrays, and the description in the metadata."""
    if file.suffix == ".pt2":
        extra = {"mlt.json": ""}
        network = torch.export.load(file, extra_files=extra).module()
        return lambda images: network(torch.from_numpy(images)).detach().numpy(), json.loads(
            extra["mlt.json"]
        )
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    metadata = {p.key: p.value for p in onnx.load(file).metadata_props}
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0], json.loads(metadata["mlt"])
