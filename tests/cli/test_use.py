"""tune, predict and export as users type them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mlt.cli import main
from mlt.metrics import Predictions

TUNE = ["tune", "{run}/last.safetensors", "--predictions", "{run}/predictions.npz"]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_tune_then_predict_and_evaluate(
    run: Path, tiny_source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = str(run / "last.safetensors")
    images = str(tiny_source / "test")
    assert main(["predict", checkpoint, images, "--format", "csv"]) == 0
    before = capsys.readouterr().out
    predictions = str(run / "predictions.npz")
    assert main(["tune", checkpoint, "--predictions", predictions, "--classes"]) == 0
    tuned = capsys.readouterr()
    assert "at a threshold for each" in tuned.out
    assert "yeti" in tuned.out
    copy = json.loads((run / "last.decision.json").read_text())
    limits = [c["threshold"] for c in copy["thresholds"]["classes"]]
    assert main(["predict", checkpoint, images, "--format", "csv"]) == 0
    assert capsys.readouterr().out != before

    # By --config, which predicts the same images: the same thresholds.
    assert main(["tune", checkpoint, "--config", str(run / "config.yaml")]) == 0
    copy = json.loads((run / "last.decision.json").read_text())
    again = [c["threshold"] for c in copy["thresholds"]["classes"]]
    np.testing.assert_allclose(again, limits, atol=1e-4)

    capsys.readouterr()
    assert main(["evaluate", str(run / "config.yaml"), "--checkpoint", checkpoint, "--rates"]) == 0
    assert "at each class's threshold" in capsys.readouterr().out
    assert main(["evaluate", "--predictions", predictions, "--rates"]) == 0
    assert "at logit 0" in capsys.readouterr().out


def test_tune_and_evaluate_by_the_validation_images(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Of a configuration that has some; here they are the training images."""
    config = tmp_path / "validated.yaml"
    lines = (run / "config.yaml").read_text().splitlines()
    part = "{annotations: annotations/instances_train.json, images: train}"
    keep = [f"  validation: {part}" if line == "  validation: null" else line for line in lines]
    assert keep != lines
    config.write_text("\n".join(keep))
    checkpoint = str(run / "last.safetensors")
    command = ["evaluate", str(config), "--checkpoint", checkpoint]
    assert main([*command, "--validation", "--output", str(tmp_path / "results")]) == 0
    assert "48 validation images" in capsys.readouterr().out
    assert main(["tune", checkpoint, "--config", str(config)]) == 0
    assert "test images of the run" not in caplog.text
    decision = (run / "last.decision.json").read_text()
    predictions = str(tmp_path / "results" / "predictions.npz")
    assert main(["tune", checkpoint, "--predictions", predictions]) == 0
    assert (run / "last.decision.json").read_text() == decision

    plain = ["evaluate", str(run / "config.yaml"), "--checkpoint", checkpoint]
    assert main([*plain, "--validation"]) == 2
    assert "the configuration names no validation images" in capsys.readouterr().err
    assert main(["evaluate", "--predictions", predictions, "--validation"]) == 2


def test_tuning_on_the_test_images_of_the_run_is_pointed_out(
    run: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    checkpoint = str(run / "last.safetensors")
    assert main(["tune", checkpoint, "--predictions", str(run / "predictions.npz")]) == 0
    assert "32 of these 32 images are test images of the run" in caplog.text
    assert "the run has no validation images" in caplog.text
    caplog.clear()
    other = Predictions.load(run / "predictions.npz")
    object.__setattr__(other, "image_ids", other.image_ids + 1000)
    other.save(tmp_path / "validation.npz")
    assert main(["tune", checkpoint, "--predictions", str(tmp_path / "validation.npz")]) == 0
    assert "test images of the run" not in caplog.text


def test_a_run_with_validation_images_is_not_tuned_on_its_test_images(
    run: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither on all of them nor on some; the checkpoint keeps what was tuned on validation."""
    tested = Predictions.load(run / "predictions.npz")
    other = Predictions.load(run / "predictions.npz")
    object.__setattr__(other, "image_ids", other.image_ids + 1000)
    other.save(run / "validation.npz")
    command = ["tune", str(run / "last.safetensors"), "--calibration", "none", "--predictions"]
    assert main([*command, str(run / "validation.npz")]) == 0
    assert capsys.readouterr().out.startswith("class ")  # the thresholds, unasked
    tuned = (run / "last.decision.json").read_bytes()
    tested.take(np.arange(len(tested))[::-2]).save(run / "some.npz")
    for name in ("predictions.npz", "some.npz"):
        assert main([*command, str(run / name), "--goal", "rate", "--target", "0.5"]) == 2
        said = capsys.readouterr().err
        assert "are test images of the run" in said
        assert f"--predictions {run / 'validation.npz'}" in said
        assert (run / "last.decision.json").read_bytes() == tuned
    assert main([*command, str(run / "some.npz"), "--allow-test-images"]) == 0
    assert "16 of these 16 images are test images of the run" in caplog.text
    assert "has no validation images" not in caplog.text


def test_predictions_of_other_weights_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "best.safetensors").read_bytes()
    other = Predictions.load(run / "predictions.npz")
    object.__setattr__(other, "model", "0" * 64)
    other.save(run / "other.npz")
    arguments = ["tune", str(run / "best.safetensors"), "--predictions", str(run / "other.npz")]
    assert main(arguments) == 2
    assert "predictions of other weights" in capsys.readouterr().err
    assert (run / "best.safetensors").read_bytes() == before


def test_new_weights_have_no_thresholds_of_old_ones(run: Path) -> None:
    checkpoint = str(run / "last.safetensors")
    assert main(["tune", checkpoint, "--predictions", str(run / "predictions.npz")]) == 0
    resume = ["train", str(run / "config.yaml"), "--output", str(run), "--resume"]
    assert main(resume) == 0  # finished: nothing is trained, and nothing lost
    assert (run / "last.decision.json").exists()
    assert main([*resume, "--set", "training.epochs=16"]) == 0
    assert not (run / "last.decision.json").exists()


def test_predict_writes_files_and_reports_broken_images_last(
    run: Path, tiny_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    output = tmp_path / "new" / "labels.jsonl"
    arguments = ["predict", str(run / "best.safetensors"), str(broken), str(tiny_source / "test")]
    arguments += ["--format", "jsonl", "--output", str(output), "--top", "1"]
    assert main(arguments) == 1
    assert "1 of 33 images have no prediction" in capsys.readouterr().err
    first, *records = [json.loads(line) for line in output.read_text().splitlines()]
    assert first.keys() == {"id", "path", "error"}
    assert first["path"] == str(broken)
    assert "broken.png" in first["error"]
    assert len(records) == 32
    assert all(len(record["labels"]) == 1 for record in records)
    assert main(arguments) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_predict_the_images_of_a_table_from_another_folder(
    run: Path, tiny_source: Path, tmp_path: Path, form: str
) -> None:
    names = sorted(path.name for path in (tiny_source / "test").glob("*.png"))[:3]
    (tmp_path / "list.csv").write_text("\n".join(["path", names[0], "absent.png", *names[1:]]))
    output = tmp_path / "out"
    arguments = ["predict", str(run / "best.safetensors"), str(tmp_path / "list.csv")]
    arguments += ["--format", form, "--output", str(output)]
    assert main([*arguments, "--images", str(tiny_source / "test")]) == 1
    text = output.read_text()
    if form == "csv":
        rows = list(csv.DictReader(text.splitlines()))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [Path(row["path"]).name for row in rows] == [names[0], "absent.png", *names[1:]]
    assert "does not exist" in rows[1]["error"]
    assert not any(row.get("error") for row in (rows[0], *rows[2:]))


def test_predictions_of_a_table_are_evaluated_by_the_ids_it_has(
    run: Path,
    tiny_source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What predict writes goes into evaluate as it is, beside the table that it was made of."""
    images = sorted((tiny_source / "test").glob("*.png"))
    classes = Predictions.load(run / "predictions.npz").class_names
    table, output = tmp_path / "truth.csv", tmp_path / "scores.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Path", *classes])
        for place, image in enumerate(images):
            labels = [int(place % len(classes) == c) for c in range(len(classes))]
            rows.writerow([f"test/{image.name}", *labels])
    predict = ["predict", str(run / "last.safetensors"), str(table), "--path-column", "Path"]
    predict += ["--images", str(tiny_source), "--format", "csv", "--output", str(output)]
    assert main(predict) == 0
    evaluate = ["evaluate", "--predictions", str(output), "--probabilities"]
    evaluate += ["--targets", str(table)]
    assert main(evaluate) == 0
    assert f"{len(images)} " in capsys.readouterr().out

    with table.open("a", newline="") as file:
        csv.writer(file).writerow(["test/absent.png", *(0 for _ in classes)])
    assert main([*predict, "--overwrite"]) == 1
    assert "1 is not there, first" in capsys.readouterr().err
    assert main(evaluate) == 2
    assert "'test/absent.png'" in capsys.readouterr().err
    caplog.clear()
    assert main([*evaluate, "--subset"]) == 0
    assert "1 of 33 images have no prediction and are left out" in caplog.text


def test_paths_that_begin_with_the_name_of_the_tables_own_folder(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As those of CheXpert do: said once, before the model is loaded, with the option."""
    folder = tmp_path / "CheXpert"
    (folder / "valid").mkdir(parents=True)
    (folder / "valid" / "1.jpg").touch()
    names = ["CheXpert/valid/1.jpg", "CheXpert/valid/2.jpg"]
    (folder / "new.csv").write_text("\n".join(["path", *names]))
    assert main(["predict", str(tiny_run / "last.safetensors"), str(folder / "new.csv")]) == 2
    message = capsys.readouterr().err
    assert f"none of the 2 images of {folder / 'new.csv'} is in {folder}" in message
    assert (
        f"the name of that folder itself, so they start in the folder above: --images {tmp_path}"
        in message
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "{run}/config.yaml", "x.jpg"], "no file or folder x.jpg"),
        (["predict", "{run}/config.yaml", "{run}/config.yaml"], "not a safetensors file"),
        (["predict", "{run}", "{run}/config.yaml"], "the folder holds "),
        (["predict", "{run}/absent.safetensors", "{run}/config.yaml"], "no checkpoint"),
        (["predict", "{run}/last.safetensors", "{run}/config.yaml", "--top", "0"], "--top"),
        (["predict", "{run}/last.safetensors", "{run}"], "has no image"),
        (["predict", "{run}/last.safetensors", "{run}", "--images", "absent"], "no folder absent"),
        (["export", "{run}/last.safetensors", "--output", "{run}/a.tflite"], ".onnx or .pt2"),
        (["export", "{run}/last.safetensors", "--output", "{run}/log.txt"], "exists already"),
        ([*TUNE, "--target", "-1"], "positive number; got -1"),
        ([*TUNE, "--goal", "precision"], "precision needs --target"),
        ([*TUNE, "--set", "seed=1"], "goes with --config"),
        (["tune", "{run}/last.safetensors", "--predictions", "{run}/a.npz"], "no predictions file"),
    ],
)
def test_mistakes(
    tiny_run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(run=tiny_run) for argument in arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_list_of_images_is_named(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text("path\n")
    assert main(["predict", str(tiny_run / "last.safetensors"), str(tmp_path / "list.csv")]) == 2
    assert "there is no image in" in capsys.readouterr().err


def test_export_command(run: Path, tiny_source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run / "model.pt2"
    arguments = ["export", str(run / "last.safetensors"), "--output", str(output)]
    assert main([*arguments, "--check", str(tiny_source / "test")]) == 0
    assert "4 classes" in capsys.readouterr().out
    assert output.stat().st_size > 0
