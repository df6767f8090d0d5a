"""Softmax losses on images with exactly one label each, from training to prediction."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn
from torch.nn import functional as F

import mlt
from mlt.cli import main
from mlt.config import parse_config
from mlt.engine.evaluate import evaluate_ensemble
from mlt.errors import CheckpointError, ConfigError, DataError
from mlt.inference import Predictor
from mlt.losses import SeesawLoss, list_losses
from mlt.metrics import Predictions
from mlt.models.checkpoint import decision_copy, read_info
from mlt.run_folder import RunFolder


@pytest.fixture
def one_label(plain_values: dict[str, Any], tiny_source: Path, tmp_path: Path) -> dict[str, Any]:
    """Plain SGD on 12 images of a CSV table, each cat, dog or yeti."""
    names = ["cat", "cat", "cat", "dog", "dog", "yeti"]
    for part in ("train", "test"):
        rows = [f"{part}/{n:04}.png,{names[n % 6]}" for n in range(12)]
        (tmp_path / f"{part}.csv").write_text("\n".join(["path,labels", *rows]))
    data = {"name": "csv", "root": str(tiny_source)} | {
        part: str(tmp_path / f"{part}.csv") for part in ("train", "test")
    }
    training = {"epochs": 2, "batch_size": 6, "workers": 0}
    return plain_values | {
        "data": data,
        "optimizer": {"name": "sgd", "lr": 0.05},
        "training": training,
        "output": str(tmp_path / "run"),
    }


def with_loss(values: dict[str, Any], loss: Any, **more: Any) -> dict[str, Any]:
    return values | {"loss": loss} | more


@pytest.mark.parametrize("name", list_losses("softmax"))
def test_each_one_label_loss_trains_from_its_name(one_label: dict[str, Any], name: str) -> None:
    mlt.train(parse_config(with_loss(one_label, {"preset": name})))
    run = RunFolder(one_label["output"])
    activation = "sigmoid" if name.endswith("_single") else "softmax"
    assert read_info(run.last).activation == activation
    assert Predictions.load(run.predictions).activation == activation
    losses = [record["loss"] for record in run.read_history()]
    assert len(losses) == 2 and np.isfinite(losses).all()


def test_a_softmax_starts_without_a_prior_bias(one_label: dict[str, Any]) -> None:
    values = with_loss(one_label, "ce", training={"epochs": 0, "batch_size": 6, "workers": 0})
    for loss, expected in (("ce", [0, 0, 0]), ("bce", np.log([0.5 / 0.5, 1 / 2, 1 / 5]))):
        out = f"{one_label['output']}_{loss}"
        mlt.train(parse_config(values | {"loss": loss, "output": out}))
        model, _ = mlt.models.checkpoint.load_checkpoint(RunFolder(out).last)
        np.testing.assert_allclose(model.head[1].bias.detach(), expected, atol=1e-6)


def test_the_loss_is_the_softmax_one(one_label: dict[str, Any]) -> None:
    """At all-equal logits softmax cross entropy is log 3, whatever the label."""
    zero = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    nn.init.zeros_(zero[2].weight), nn.init.zeros_(zero[2].bias)
    values = with_loss(one_label, "ce", optimizer={"name": "sgd", "lr": 1e-9})
    mlt.train(parse_config(values), model=zero)
    record = RunFolder(values["output"]).read_history()[-1]
    assert record["loss"] == pytest.approx(np.log(3), abs=1e-6)


def test_an_image_with_another_number_of_labels_is_named(
    one_label: dict[str, Any], tmp_path: Path
) -> None:
    table = tmp_path / "train.csv"
    table.write_text(table.read_text().replace("0003.png,dog", "0003.png,dog|cat"))
    message = r"ClassBalancedSoftmaxLoss is a softmax loss. Of the training images .* image "
    with pytest.raises(DataError, match=message + r"train/0003.png has 2.*list_losses\(.sigmoid"):
        mlt.train(parse_config(with_loss(one_label, "cb_softmax")))
    assert not RunFolder(one_label["output"]).metrics.exists()
    mlt.train(parse_config(with_loss(one_label, "bce")))


def test_a_loss_handed_over_says_that_it_is_a_softmax_loss(one_label: dict[str, Any]) -> None:
    config = parse_config(with_loss(one_label, "bce"))
    mlt.train(config, loss=nn.CrossEntropyLoss())
    assert read_info(RunFolder(config.output).last).activation == "softmax"


@pytest.mark.parametrize(
    "loss", [F.cross_entropy, partial(F.cross_entropy, label_smoothing=0.1)], ids=["plain", "bound"]
)
def test_the_function_of_cross_entropy_is_a_softmax_loss(
    one_label: dict[str, Any], loss: Any
) -> None:
    config = parse_config(with_loss(one_label, "bce"))
    mlt.train(config, loss=loss)
    assert read_info(RunFolder(config.output).last).activation == "softmax"


def test_a_loss_that_looks_like_a_softmax_must_say_so(one_label: dict[str, Any]) -> None:
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -(targets * logits.log_softmax(-1)).sum(-1).mean()

    config = parse_config(with_loss(one_label, "bce"))
    with pytest.raises(ConfigError, match="loss stays the same when all logits of an image grow"):
        mlt.train(config, loss=loss)
    for wrong in ("softmx", nn.Sigmoid()):
        loss.activation = wrong  # type: ignore[attr-defined]
        with pytest.raises(ConfigError, match=r"loss.activation is .*'sigmoid' or 'softmax'"):
            mlt.train(config, loss=loss)
    assert not Path(config.output).exists()
    for activation in ("softmax", "sigmoid"):
        loss.activation = activation  # type: ignore[attr-defined]
        own = config.model_copy(update={"output": f"{config.output}_{activation}"})
        mlt.train(own, loss=loss)
        assert read_info(RunFolder(own.output).last).activation == activation


def test_deferred_weights_of_ldam_resume_bit_for_bit(one_label: dict[str, Any]) -> None:
    loss = {"preset": "ldam_softmax", "options": {"s": 3, "drw_epoch": 2, "beta": 0.99}}
    training = {"epochs": 4, "batch_size": 6, "workers": 0}
    whole = with_loss(one_label, loss, training=training)
    mlt.train(parse_config(whole))

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    parts = whole | {"output": whole["output"] + "2"}
    with pytest.raises(KeyboardInterrupt):
        mlt.train(parse_config(parts), on_epoch=stop)
    mlt.train(parse_config(parts), resume=True)
    one, two = (Predictions.load(RunFolder(v["output"]).predictions) for v in (whole, parts))
    assert one.model == two.model
    np.testing.assert_array_equal(one.logits, two.logits)


def test_probabilities_are_a_softmax_everywhere(
    one_label: dict[str, Any], tiny_source: Path
) -> None:
    config = parse_config(with_loss(one_label, "ce"))
    mlt.train(config)
    run = RunFolder(config.output)
    saved = Predictions.load(run.predictions)
    files = [tiny_source / str(image) for image in saved.image_ids]
    predictor = Predictor.from_checkpoint(run.last)
    told = list(predictor.predict(files))
    expected = softmax(saved.logits.astype(float), axis=1)
    for prediction, row in zip(told, expected):
        np.testing.assert_allclose(prediction.probabilities, row, atol=1e-5)
        assert prediction.labels() == [row.argmax()]
    both = evaluate_ensemble(config, [run.last, run.last])
    np.testing.assert_allclose(softmax(both.logits, axis=1), expected, atol=1e-5)
    mirrored = parse_config(
        with_loss(one_label, "ce", evaluation={"mirror": True, "average": "probabilities"})
    )
    views = evaluate_ensemble(mirrored, [run.last])
    flipped = Predictor.from_checkpoint(run.last).logits(
        [mlt.data.images.load_image(f).transpose(0) for f in files]
    )
    mean = (expected + softmax(flipped.astype(float), axis=1)) / 2
    np.testing.assert_allclose(softmax(views.logits, axis=1), mean, atol=1e-4)


def test_models_of_both_kinds_are_not_averaged(one_label: dict[str, Any]) -> None:
    runs = []
    for loss in ("ce", "bce"):
        values = with_loss(one_label, loss, output=f"{one_label['output']}_{loss}")
        mlt.train(parse_config(values))
        runs.append(RunFolder(values["output"]).last)
    with pytest.raises(CheckpointError, match="some have a sigmoid per class and others a softmax"):
        Predictor.from_checkpoint(runs)
    with pytest.raises(DataError, match="with a sigmoid per class and of one with a softmax"):
        evaluate_ensemble(parse_config(with_loss(one_label, "ce")), runs)


def test_the_union_of_mixed_labels_is_not_one_label(one_label: dict[str, Any]) -> None:
    transforms = {"name": "plain", "size": 32, "mix": {"mixup": 0.2, "labels": "union"}}
    with pytest.raises(ConfigError, match=r"transforms.mix.labels: union gives mixed images two"):
        parse_config(with_loss(one_label, "ce", transforms=transforms))
    transforms["mix"] = {"mixup": 0.2}
    mlt.train(parse_config(with_loss(one_label, "cb_softmax", transforms=transforms)))
    with pytest.raises(ConfigError, match=r"transforms.mix.labels: .* the loss 'seesaw'") as told:
        parse_config(with_loss(one_label, "seesaw", transforms=transforms))
    assert "such as ce or cb_softmax" in str(told.value) and "union" not in str(told.value)


def test_the_union_is_refused_for_a_softmax_loss_that_is_handed_over(
    one_label: dict[str, Any],
) -> None:
    transforms = {"name": "plain", "size": 32, "mix": {"mixup": 0.2, "labels": "union"}}
    config = parse_config(with_loss(one_label, "bce", transforms=transforms))
    with pytest.raises(ConfigError, match="union gives mixed images two labels"):
        mlt.train(config, loss=nn.CrossEntropyLoss())
    transforms["mix"] = {"mixup": 0.2}
    config = parse_config(with_loss(one_label, "bce", transforms=transforms))
    with pytest.raises(ConfigError, match="between them; choose another loss"):
        mlt.train(config, loss=SeesawLoss(3))


def test_one_class_is_nothing_to_choose_between() -> None:
    with pytest.raises(DataError, match="a softmax chooses between classes"):
        Predictions.from_arrays([[1.0]], [[1]], activation="softmax")


def test_top1_is_watched_and_chooses_the_best_epoch(one_label: dict[str, Any]) -> None:
    data = one_label["data"] | {"validation": one_label["data"]["test"]}
    stopping = {"metric": "top1.total", "patience": 1, "min_delta": 1.0}
    values = with_loss(
        one_label,
        "ce",
        data=data,
        evaluation={"best_by": "top1", "head": 5, "tail": 3},
        training={"epochs": 4, "batch_size": 6, "workers": 0, "early_stopping": stopping},
    )
    mlt.train(parse_config(values))
    run = RunFolder(values["output"])
    records = run.read_history()
    assert len(records) == 2  # nothing improves on the first by more than 1
    last = Predictions.load(run.validation)
    assert records[0]["top1"].keys() == {"total", "head", "medium", "tail"}
    assert run.best_total("top1") == max(record["top1"]["total"] for record in records)
    right = last.targets.argmax(1) == last.logits.argmax(1)
    assert right.mean() in [record["top1"]["total"] for record in records]


def test_top1_of_several_labels_is_refused(plain_values: dict[str, Any]) -> None:
    config = parse_config(plain_values | {"evaluation": {"best_by": "top1"}})
    with pytest.raises(ConfigError, match=r"evaluation.best_by: top1 is defined where every image"):
        mlt.train(config)


def test_the_commands_give_softmax_probabilities(
    one_label: dict[str, Any], tiny_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Predict, export and tune; a temperature is in what each of them gives afterwards."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    values = one_label["data"] | {"validation": one_label["data"]["train"]}
    training = {"epochs": 10, "batch_size": 6, "workers": 0}
    mlt.train(parse_config(with_loss(one_label, "cb_softmax", data=values, training=training)))
    run = RunFolder(one_label["output"])
    saved = Predictions.load(run.validation)
    files = [str(tiny_source / str(image)) for image in saved.image_ids]
    tuned = ["tune", str(run.last), "--predictions", str(run.validation)]
    assert main([*tuned, "--calibration", "platt"]) == 2
    assert "temperature" in capsys.readouterr().err
    assert main(tuned) == 0
    # Cross entropy of the validation images has its minimum there: its slope changes sign.
    temperature = json.loads(decision_copy(run.last).read_text())["calibration"]["classes"][0][
        "slope"
    ]
    truth = saved.targets.argmax(1)
    logits = saved.logits.astype(float)

    def entropy(scale: float) -> float:
        return -log_softmax(scale * logits, axis=1)[range(len(truth)), truth].mean()

    assert entropy(temperature) < min(entropy(0.99 * temperature), entropy(1.01 * temperature))
    expected = softmax(temperature * logits, axis=1)
    capsys.readouterr()
    assert main(["predict", str(run.last), *files, "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [list(line["probabilities"].values()) for line in lines]
    np.testing.assert_allclose(told, expected, atol=2e-5)
    exported = tmp_path / "model.onnx"
    assert main(["export", str(run.last), "--sigmoid", "--output", str(exported)]) == 0
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    described = json.loads(session.get_modelmeta().custom_metadata_map["mlt"])
    assert (described["output"], described["activation"]) == ("probabilities", "softmax")
    model = mlt.models.checkpoint.load_checkpoint(run.last)[0].eval()
    images = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    given = model(torch.from_numpy(images)).detach().double().numpy()
    (found,) = session.run(None, {"images": images})
    np.testing.assert_allclose(found, softmax(temperature * given, axis=1), atol=1e-5)
