"""Whole runs on a tiny data set: what is written, resumed, refused and reproduced."""

from __future__ import annotations

import copy
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mlt.config import load_config, parse_config
from mlt.data import Split
from mlt.engine import epochs as epochs_module
from mlt.engine import loop as loop_module
from mlt.engine import run_weights, watched_metrics
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.train import train
from mlt.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MissingFileError,
    OutputExistsError,
    TrainingError,
)
from mlt.metrics import Predictions, summarize
from mlt.models.checkpoint import load_checkpoint, read_info
from mlt.run_folder import RunFolder


def changed(values: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """The configuration with keys of its sections changed."""
    values = copy.deepcopy(values)
    for name, section in sections.items():
        if isinstance(section, dict):
            values[name] = {**values.get(name, {}), **section}
        else:
            values[name] = section
    return values


def weights(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint."""
    return load_checkpoint(file)[0].state_dict()


@pytest.fixture
def finished(tiny_values: dict[str, Any]) -> RunFolder:
    """The folder of a finished run."""
    train(parse_config(tiny_values))
    return RunFolder(tiny_values["output"])


def test_a_run_leaves_everything_that_is_needed(
    finished: RunFolder, tiny_values: dict[str, Any], tiny_names: list[str]
) -> None:
    others = {"last.decision.json", "best.decision.json", "validation.npz"}
    others |= {"handed_over.json", "loggers.json", "tensorboard"}
    assert {f.name for f in finished.existing} == set(RunFolder.FILES) - others
    metrics = json.loads(finished.metrics.read_text())
    assert set(metrics["mAP"]) == {"total", "head", "medium", "tail"}
    assert [c["name"] for c in metrics["per_class"]] == tiny_names
    assert metrics["mAP"]["total"] > 0.6  # squares in fixed places are easy; chance is about 0.5

    predictions = Predictions.load(finished.predictions)
    assert len(predictions) == 32
    assert predictions.logits.dtype == np.float32
    assert summarize(predictions).total == pytest.approx(metrics["mAP"]["total"])

    assert load_config(finished.config) == parse_config(tiny_values)
    assert Split.load(finished.split).class_names == tuple(tiny_names)
    history = finished.read_history()
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert history[-1]["mAP"]["total"] == pytest.approx(metrics["mAP"]["total"])
    assert history[-1]["loss"] < history[0]["loss"]
    assert "epoch 3/3: loss" in finished.log.read_text()
    assert json.loads(finished.environment.read_text())["packages"]["torch"]


def test_validation_images_are_watched_and_test_images_are_only_tested(
    tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    data = tiny_values["data"]
    parts = {"validation": data["test"], "test": data["train"]}
    config = parse_config(changed(tiny_values, data=parts))
    caplog.set_level("INFO", logger="mlt")
    summary = train(config)
    assert "validation mAP total" in caplog.text
    assert "48 of 48 test images are training images too" in caplog.text

    folder = RunFolder(config.output)
    limits = summary.limits
    watched, tested = Predictions.load(folder.validation), Predictions.load(folder.predictions)
    assert (len(watched), len(tested)) == (32, 48)
    history = folder.read_history()
    assert summarize(watched, limits=limits).to_json()["mAP"] == pytest.approx(history[-1]["mAP"])
    assert summarize(tested, limits=limits).total == summary.total != history[-1]["mAP"]["total"]
    totals = [record["mAP"]["total"] for record in history]
    assert load_checkpoint(folder.best)[1].epoch == 1 + int(np.argmax(totals))
    again = evaluate_checkpoint(config, folder.last, "validation")
    np.testing.assert_allclose(again.logits, watched.logits, atol=1e-5)
    with pytest.raises(ConfigError, match=r"data\.validation: the configuration names no"):
        evaluate_checkpoint(parse_config(tiny_values), folder.last, "validation")

    train(config, resume=True)  # of a finished run: both are evaluated again
    np.testing.assert_array_equal(Predictions.load(folder.validation).logits, watched.logits)


def test_the_best_epoch_by_auroc(
    tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    mean_auroc = watched_metrics._mean_auroc
    rising = iter((0.25, 0.5, 0.75))
    monkeypatch.setattr(watched_metrics, "_mean_auroc", lambda predictions: next(rising))
    data = tiny_values["data"]
    parts = {"validation": data["test"], "test": data["train"]}
    values = changed(tiny_values, data=parts, evaluation={"best_by": "AUROC"})
    caplog.set_level("INFO", logger="mlt")
    train(parse_config(values))
    folder = RunFolder(values["output"])
    history = folder.read_history()
    assert load_checkpoint(folder.best)[1].epoch == 3
    assert int(np.argmax([record["mAP"]["total"] for record in history])) < 2
    assert history[-1]["AUROC"] == {"total": folder.best_total("AUROC")} == {"total": 0.75}
    assert ", validation AUROC total 75.00\n" in caplog.text

    watched = Predictions.load(folder.validation)
    expected = summarize(watched).to_json()["AUROC"]["total"]
    assert mean_auroc(watched) == pytest.approx(expected)


def test_a_checkpoint_alone_reproduces_the_predictions(
    finished: RunFolder, tiny_values: dict[str, Any], tiny_names: list[str]
) -> None:
    model, info = load_checkpoint(finished.last)
    assert info.class_names == tuple(tiny_names)
    assert info.epoch == 3
    assert not model.training
    again = evaluate_checkpoint(parse_config(tiny_values), finished.last)
    saved = Predictions.load(finished.predictions)
    np.testing.assert_allclose(again.logits, saved.logits, atol=1e-5)
    np.testing.assert_array_equal(again.image_ids, saved.image_ids)
    np.testing.assert_array_equal(again.class_counts, saved.class_counts)


def test_a_table_of_test_images_without_rows_is_named(
    finished: RunFolder, tiny_values: dict[str, Any], tiny_names: list[str], tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text("path,labels\n")
    (tmp_path / "train.csv").write_text(f"path,labels\na.png,{tiny_names[0]}\n")
    values = {"name": "csv", "root": str(tmp_path), "train": "train.csv", "test": "test.csv"}
    config = parse_config({**tiny_values, "data": {**values, "class_names": tiny_names}})
    with pytest.raises(DataError, match=r"no test image: .*test\.csv lists none"):
        evaluate_checkpoint(config, finished.last)


def test_the_same_seed_gives_the_same_weights_whatever_loads_the_images(
    finished: RunFolder, tiny_values: dict[str, Any], tmp_path: Path
) -> None:
    other = changed(tiny_values, output=str(tmp_path / "other"), training={"workers": 1})
    train(parse_config(other))
    for name, tensor in weights(tmp_path / "other" / "last.safetensors").items():
        assert torch.equal(tensor, weights(finished.last)[name]), name
    third = changed(tiny_values, output=str(tmp_path / "third"), seed=1)
    train(parse_config(third))
    different = weights(tmp_path / "third" / "last.safetensors")
    assert not torch.equal(different["head.1.weight"], weights(finished.last)["head.1.weight"])


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("updates", [1, 4])
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    tiny_values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    updates: int,
    accumulate: int,
) -> None:
    """Ctrl-C in the middle of an epoch, then --resume: weights and history are the same."""
    training = {"ema_decay": 0.9, "accumulate": accumulate}
    whole = changed(tiny_values, output=str(tmp_path / "whole"), training=training)
    train(parse_config(whole))

    values = changed(tiny_values, training=training)
    original = loop_module._update

    def interrupting(training: Any, config: Any) -> None:
        original(training, config)
        if training.position.updates == updates:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "_update", interrupting)
        with pytest.raises(KeyboardInterrupt):
            train(parse_config(values))
    folder = RunFolder(values["output"])
    assert folder.state.exists()
    assert not folder.metrics.exists()
    train(parse_config(values), resume=True)

    for name, tensor in weights(tmp_path / "whole" / "last.safetensors").items():
        assert torch.equal(tensor, weights(folder.last)[name]), name
    assert folder.read_history() == RunFolder(tmp_path / "whole").read_history()


@pytest.mark.parametrize("signalled", [True, False])
def test_workers_ended_by_the_same_signal_are_an_interruption(
    tiny_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, signalled: bool
) -> None:
    """`kill` of a whole process group reaches the workers too, in the evaluation for example."""

    def die(*arguments: object, **options: object) -> None:
        if signalled:
            os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")

    monkeypatch.setattr(watched_metrics, "predict", die)
    with pytest.raises(KeyboardInterrupt if signalled else RuntimeError):
        train(parse_config(tiny_values))
    monkeypatch.undo()
    train(parse_config(tiny_values), resume=True)
    assert len(RunFolder(tiny_values["output"]).read_history()) == 3


def test_a_second_run_in_the_same_folder_is_refused_and_changes_nothing(
    finished: RunFolder, tiny_values: dict[str, Any]
) -> None:
    before = {file: file.read_bytes() for file in finished.existing}
    with pytest.raises(OutputExistsError, match="--resume continues it, --overwrite replaces it"):
        train(parse_config(tiny_values))
    assert {file: file.read_bytes() for file in finished.existing} == before


def test_overwriting_touches_nothing_before_the_new_run_is_sound(
    finished: RunFolder, tiny_values: dict[str, Any]
) -> None:
    before = {file: file.read_bytes() for file in finished.existing}
    broken = changed(tiny_values, data={"root": "/nowhere"})
    with pytest.raises(MissingFileError, match="no annotation file /nowhere"):
        train(parse_config(broken), overwrite=True)
    assert {file: file.read_bytes() for file in finished.existing} == before
    foreign = finished.path / "notes.txt"
    foreign.write_text("mine")
    train(parse_config(changed(tiny_values, training={"epochs": 1})), overwrite=True)
    assert len(finished.read_history()) == 1
    assert foreign.read_text() == "mine"


def test_an_earlier_run_survives_a_new_one_that_fails_in_its_first_epoch(
    finished: RunFolder, tiny_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file: file.read_bytes() for file in finished.existing}

    def fail(*arguments: Any) -> None:
        raise DataError("an image is broken")

    monkeypatch.setattr(loop_module, "_backward", fail)
    with pytest.raises(DataError, match="broken"):
        train(parse_config(tiny_values), overwrite=True)
    assert {file: file.read_bytes() for file in finished.existing} == before
    assert not (finished.path / ".previous").exists()


def test_resuming_on_other_data_is_refused(tiny_root: Path, tiny_values: dict[str, Any]) -> None:
    values = changed(tiny_values, data={"root": str(tiny_root)})
    train(parse_config(values))
    file = tiny_root / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"] = content["annotations"][1:]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="the training data has changed"):
        train(parse_config(changed(values, training={"epochs": 4})), resume=True)


def test_a_run_that_died_before_its_first_checkpoint_does_not_stand_in_the_way(
    tiny_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise DataError("a broken image")

    monkeypatch.setattr(epochs_module, "train_epoch", die)
    with pytest.raises(DataError):
        train(parse_config(tiny_values))
    monkeypatch.undo()
    assert RunFolder(tiny_values["output"]).config.exists()
    train(parse_config(tiny_values))


def test_images_in_training_and_test_are_pointed_out(
    tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    data = {**tiny_values["data"], "test": tiny_values["data"]["train"]}
    values = changed({**tiny_values, "data": data}, training={"epochs": 0})
    train(parse_config(values))
    assert "48 of 48 test images are training images too" in caplog.text


def test_warnings_are_seen_where_nobody_has_set_up_logging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = logging.getLogger("mlt")
    monkeypatch.setattr(package, "propagate", False)  # pytest's own handlers are at the root
    folder = RunFolder(tmp_path)
    with folder.logging():
        package.info("a detail")
        package.warning("images are shared")
    assert capsys.readouterr().err == "images are shared\n"
    assert "a detail" in folder.log.read_text()
    assert not package.handlers


def test_an_epoch_without_a_readable_image_is_an_error(
    tiny_root: Path, tiny_values: dict[str, Any]
) -> None:
    for image in (tiny_root / "train").iterdir():
        image.write_bytes(b"")
    values = changed(tiny_values, data={"root": str(tiny_root), "on_image_error": "skip"})
    with pytest.raises(DataError, match="not one training image could be read"):
        train(parse_config(values))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"model": {"backbone": "test_vit"}, "transforms": {"size": 36}}, "transforms.size"),
        ({"training": {"batch_size": 1}}, "training.batch_size: batch norm cannot learn"),
        ({"optimizer": {"name": "adahessian"}}, "optimizer.name: adahessian needs second"),
        ({"optimizer": {"name": "sgdd"}}, "timm has no optimizer 'sgdd'"),
    ],
    ids=str,
)
def test_what_cannot_work_is_found_before_training(
    tiny_values: dict[str, Any], section: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(parse_config(changed(tiny_values, **section)))
    assert not Path(tiny_values["output"]).exists()


def test_resuming_a_finished_run_only_evaluates(
    finished: RunFolder, tiny_values: dict[str, Any]
) -> None:
    before = weights(finished.last)
    total = json.loads(finished.metrics.read_text())["mAP"]["total"]
    finished.metrics.unlink()
    assert train(parse_config(tiny_values), resume=True).total == pytest.approx(total)
    assert all(torch.equal(t, before[n]) for n, t in weights(finished.last).items())


def test_resuming_under_another_configuration_is_refused(
    finished: RunFolder, tiny_values: dict[str, Any]
) -> None:
    other = changed(tiny_values, optimizer={"lr": 0.1}, seed=3)
    with pytest.raises(ConfigError, match=r"seed, optimizer.lr differ from .* as it began"):
        train(parse_config(other), resume=True)
    longer = changed(tiny_values, training={"epochs": 4})
    train(parse_config(longer), resume=True)
    assert [record["epoch"] for record in finished.read_history()] == [1, 2, 3, 4]
    assert load_config(finished.config).training.epochs == 4
    assert len(json.loads(finished.environment.read_text())["earlier"]) == 1


def test_there_must_be_something_to_resume(tiny_values: dict[str, Any]) -> None:
    with pytest.raises(MissingFileError, match="nothing to resume"):
        train(parse_config(tiny_values), resume=True)


def test_damaged_states_are_named(finished: RunFolder, tiny_values: dict[str, Any]) -> None:
    for file in (finished.state, finished.state_before):
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"training_state.pt is damaged.*previous"):
        train(parse_config(tiny_values), resume=True)


def test_a_damaged_state_falls_back_to_the_one_before(
    finished: RunFolder, tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    weights, history = load_file(finished.last), finished.history.read_bytes()
    content = bytearray(finished.state.read_bytes())
    content[len(content) // 2] ^= 1
    finished.state.write_bytes(content)
    train(parse_config(tiny_values), resume=True)
    assert "training_state.pt is damaged" in caplog.text
    assert finished.history.read_bytes() == history
    again = load_file(finished.last)
    assert all(torch.equal(again[name], value) for name, value in weights.items())


def altered(checkpoint: Path, file: Path, metadata: dict[str, str | None]) -> Path:
    """A copy of a checkpoint with other metadata, without digest; None leaves a key out."""
    with safe_open(checkpoint, framework="pt") as opened:
        values = opened.metadata() | {"sha256": None} | metadata
    kept = {key: value for key, value in values.items() if value is not None}
    save_file(load_file(checkpoint), file, kept)
    return file


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"mood": '"good"'}, "unknown: mood"),
        ({"class_names": None}, "missing required field `class_names`"),
        ({"class_counts": "3"}, r"Expected `array`, got `int` - at `\$\.class_counts`"),
        ({"preprocessing": "[]"}, r"at `\$\.preprocessing`"),
        ({"epoch": '{"a"'}, "not JSON: "),
    ],
)
def test_metadata_that_does_not_fit_is_explained(
    tiny_run: Path, tmp_path: Path, metadata: dict[str, str | None], reason: str
) -> None:
    file = altered(RunFolder(tiny_run).last, tmp_path / "other.safetensors", metadata)
    for read in (load_checkpoint, read_info):
        with pytest.raises(CheckpointError, match=reason) as caught:
            read(file)
        assert str(file) in str(caught.value)
        assert "another version of mlt" in str(caught.value)


def test_a_checkpoint_whose_model_is_not_known_is_explained(tiny_run: Path, tmp_path: Path) -> None:
    last = RunFolder(tiny_run).last
    model = read_info(last).model | {"wings": 2}
    file = altered(last, tmp_path / "other.safetensors", {"model": json.dumps(model)})
    with pytest.raises(CheckpointError, match=r"other\.safetensors: .*model\.wings: .*version"):
        load_checkpoint(file)
    names = json.dumps(["only", "two"])
    file = altered(last, tmp_path / "other.safetensors", {"class_names": names})
    with pytest.raises(
        CheckpointError, match=r"other\.safetensors does not fit its own .*size mismatch"
    ):
        load_checkpoint(file)


@pytest.mark.skipif(os.name == "nt", reason="the lock needs a POSIX system")
def test_two_processes_cannot_share_a_folder(
    finished: RunFolder, tiny_values: dict[str, Any]
) -> None:
    with finished.locked(), pytest.raises(OutputExistsError, match="another process"):
        train(parse_config(tiny_values), overwrite=True)
    assert finished.metrics.exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(
    tiny_values: dict[str, Any],
) -> None:
    values = changed(tiny_values, optimizer={"name": "sgd", "lr": 1e30})
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, batch \d \(rows"):
        train(parse_config(values))


def test_zero_epochs_evaluate_the_initial_model(tiny_values: dict[str, Any]) -> None:
    summary = train(parse_config(changed(tiny_values, training={"epochs": 0})))
    assert 0 < summary.total < 1
    folder = RunFolder(tiny_values["output"])
    assert folder.last.exists()
    # With the prior in the bias, the initial scores are about the training frequencies.
    logits = Predictions.load(folder.predictions).logits
    counts = np.array([c.n_train for c in summary.per_class])
    assert np.argsort(logits.mean(0)).tolist() == np.argsort(counts).tolist()


def test_evaluation_may_be_left_to_the_end(tiny_values: dict[str, Any]) -> None:
    train(parse_config(changed(tiny_values, evaluation={"every": 0})))
    history = RunFolder(tiny_values["output"]).read_history()
    assert [record["mAP"] is None for record in history] == [True, True, False]


def test_a_full_disk_leaves_the_last_good_checkpoint(
    tiny_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_values["training"]["save_every"] = {"updates": 1000}  # each epoch, however short
    original = run_weights.save_checkpoint
    calls = []

    def full(path: Path, *rest: Any) -> None:
        calls.append(path)
        if len(calls) > 3:
            raise OSError(28, "No space left on device", str(path))
        original(path, *rest)

    monkeypatch.setattr(run_weights, "save_checkpoint", full)
    with pytest.raises(OSError, match="No space"):
        train(parse_config(tiny_values))
    folder = RunFolder(tiny_values["output"])
    monkeypatch.undo()
    assert load_checkpoint(folder.last)[1].epoch >= 1
    assert train(parse_config(tiny_values), resume=True).total > 0.5


@pytest.mark.parametrize(
    "section",
    [
        {"training": {"autocast": "bf16"}},
        {"training": {"head_only_epochs": 2}},
        {"training": {"channels_last": False, "clip_grad_norm": 1.0}},
        {"model": {"head": {"name": "projection", "width": 8}, "freeze": ["conv1", "layer1"]}},
        {"sampler": {"name": "class_aware"}},
        {"sampler": {"name": "repeat_factor", "threshold": 0.3}},
        {"sampler": {"name": "weighted"}},
        {"schedule": {"name": "multistep", "milestones": [1], "warmup_updates": 2}},
        {"optimizer": {"backbone_lr_scale": 0.1, "layer_decay": 0.5}},
        {"loss": {"preset": "db_focal"}},
        {"loss": {"name": "zlpr"}},
        {"evaluation": {"mirror": True}},
        {"transforms": {"name": "modern"}},
        {"training": {"batch_size": 47}},  # leaves one image for the last batch
    ],
    ids=str,
)
def test_every_option_trains(tiny_values: dict[str, Any], section: dict[str, Any]) -> None:
    values = copy.deepcopy(tiny_values)
    for name, part in section.items():
        if name in ("loss", "transforms", "sampler"):
            values[name] = part if name != "transforms" else {**part, "size": 32}
        else:
            values = changed(values, **{name: part})
    summary = train(parse_config(changed(values, training={"epochs": 2})))
    assert 0 < summary.total <= 1


def test_head_only_epochs_leave_the_backbone_alone(tiny_values: dict[str, Any]) -> None:
    values = changed(tiny_values, training={"epochs": 0})
    train(parse_config(values))
    before = weights(RunFolder(values["output"]).last)
    values = changed(tiny_values, training={"epochs": 1, "head_only_epochs": 1})
    train(parse_config(values), overwrite=True)
    after = weights(RunFolder(values["output"]).last)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
