"""Data, model, loss and a function per epoch, handed over from Python."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import mlt
from mlt.config import Config, parse_config
from mlt.data import LabelTable
from mlt.data.run_data import load_data
from mlt.data.transforms import build_transforms
from mlt.errors import CheckpointError, ConfigError, DataError
from mlt.inference import Predictor
from mlt.losses import create_loss
from mlt.metrics import Predictions
from mlt.models import build_model
from mlt.models.checkpoint import load_checkpoint, read_info
from mlt.report.methods import load_report
from mlt.run_folder import RunFolder


class Net(nn.Module):
    """A model that knows nothing of mlt."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU())
        self.classify = nn.Linear(8 * 64, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(nn.functional.adaptive_avg_pool2d(self.features(images), 8).flatten(1))


class Output(Net):
    """Returns what models of transformers do."""

    def forward(self, images: Tensor) -> Any:
        return SimpleNamespace(logits=super().forward(images))


class ExtraState(Net):
    """Has something in its state that is not a tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"step": 1}


class Scaled(nn.Module):
    """A loss with a temperature that is learnt."""

    def __init__(self, detached: bool = False) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))
        self.detached = detached

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.detach() if self.detached else logits
        scaled = logits / self.temperature
        return nn.functional.binary_cross_entropy_with_logits(scaled, targets)


class Items(Dataset):
    """A data set of tensors; as somebody has it who never heard of mlt, but for the names."""

    def __init__(self, table: LabelTable, names: list[str], size: int = 32) -> None:
        config = {"name": "plain", "size": size, "shift": 0}
        form = parse_transforms(config)
        transform = build_transforms(form, (0.5,) * 3, (0.5,) * 3, train=False)
        from mlt.data.images import load_image

        self.images = [transform(load_image(table.image_path(row))) for row in range(len(table))]
        self.targets = table.targets(range(len(table)))
        self.class_names = names

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.images[row], torch.from_numpy(self.targets[row])


def parse_transforms(config: dict[str, Any]) -> Any:
    from mlt.data.transform_settings import PlainTransforms

    return PlainTransforms.model_validate(config)


@pytest.fixture
def config(plain_values: dict[str, Any]) -> Config:
    values = plain_values | {
        "optimizer": {"name": "adamw", "lr": 0.003},
        "training": {"epochs": 2, "batch_size": 16, "workers": 0},
    }
    return parse_config(values)


@pytest.fixture
def tables(config: Config) -> dict[str, LabelTable]:
    data = load_data(config.data)
    return {"train": data.train, "test": data.test}


def test_what_is_handed_over_is_what_the_configuration_would_have_built(
    config: Config, tables: dict[str, LabelTable], tmp_path: Path
) -> None:
    built = mlt.train(config)
    loss = create_loss("bce")
    torch.manual_seed(config.seed)
    model = build_model(config.model, 4, tables["train"].class_counts().prior, 32)
    other = config.model_copy(update={"output": str(tmp_path / "own")})
    handed = mlt.train(other, data=tables, model=model, loss=loss)
    first, second = (RunFolder(c.output).predictions for c in (config, other))
    np.testing.assert_array_equal(Predictions.load(first).logits, Predictions.load(second).logits)
    assert handed.total == built.total
    assert RunFolder(other.output).read_handed_over() == {
        "data": {
            "train": "mlt.data.labels.LabelTable, 48 images",
            "test": "mlt.data.labels.LabelTable, 32 images",
        },
        "model": "mlt.models.classifier.Classifier",
        "loss": "mlt.losses.elementwise.ElementwiseLoss",
    }
    assert not RunFolder(config.output).handed_over.exists()


def test_a_whole_run_of_ones_own(
    config: Config, tables: dict[str, LabelTable], tiny_names: list[str]
) -> None:
    data = {part: Items(table, tiny_names) for part, table in tables.items()}
    records: list[dict[str, Any]] = []
    summary = mlt.train(
        config, data=data, model=Net(), loss=nn.BCEWithLogitsLoss(), on_epoch=records.append
    )
    folder = RunFolder(config.output)
    assert folder.read_history() == records
    assert [record["epoch"] for record in records] == [1, 2]
    assert [c.n_train for c in summary.per_class] == tables["train"].class_counts().counts.tolist()

    # The weights carry the model's own names, and load into it.
    state = load_checkpoint(folder.last, Net())[0].state_dict()
    assert set(state) == set(Net().state_dict())
    assert read_info(folder.last).model == {"own": f"{__name__}.Net"}
    again = mlt.evaluate(config, folder.last, data=data, model=Net())
    assert again.total == summary.total

    with pytest.raises(CheckpointError, match=r"a model of your own, .*Net, .*give the model"):
        mlt.evaluate(config, folder.last)
    with pytest.raises(CheckpointError, match="tensors of a data set of your own"):
        mlt.evaluate(config, folder.last, model=Net())
    with pytest.raises(CheckpointError, match="tensors of a data set of your own"):
        Predictor.from_checkpoint(folder.last, model=Net())


def test_a_model_of_ones_own_on_image_files_predicts_image_files(
    config: Config, tables: dict[str, LabelTable]
) -> None:
    mlt.train(config, model=Net())
    folder = RunFolder(config.output)
    predictor = Predictor.from_checkpoint(folder.last, "cpu", model=Net())
    saved = Predictions.load(folder.predictions)
    path = tables["test"].image_path(0)
    (answer,) = predictor.predict(path, workers=0)
    np.testing.assert_allclose(answer.logits, saved.logits[0], atol=1e-5)


def test_tensors_of_another_size_than_the_backbones_own(
    config: Config, tables: dict[str, LabelTable]
) -> None:
    """Position embeddings have the size of the images, which the checkpoint must know."""
    names = ["a", "b", "c", "d"]
    items = {part: Items(table, names) for part, table in tables.items()}
    model = config.model.model_copy(update={"backbone": "test_vit"})
    config = config.model_copy(update={"model": model})
    mlt.train(config, data=items)
    run = RunFolder(config.output)
    made, info = load_checkpoint(run.last)
    assert (info.image_size, info.preprocessing) == (config.transforms.size, {})
    with torch.no_grad():
        logits = made(torch.stack(items["test"].images))
    saved = Predictions.load(run.predictions).logits
    np.testing.assert_allclose(logits.numpy(), saved, atol=1e-4)


def test_a_run_with_things_handed_over_resumes_by_the_same_call(
    config: Config, tables: dict[str, LabelTable], tmp_path: Path
) -> None:
    def stop_after_the_first(record: dict[str, Any]) -> None:
        raise RuntimeError("enough")

    whole = config.model_copy(update={"output": str(tmp_path / "whole")})
    mlt.train(whole, data=tables, model=Net(), loss=create_loss("focal"))
    with pytest.raises(RuntimeError, match="enough"):
        mlt.train(
            config,
            data=tables,
            model=Net(),
            loss=create_loss("focal"),
            on_epoch=stop_after_the_first,
        )
    with pytest.raises(ConfigError, match=r"was handed its data .* mlt\.train\(config, data=\.+"):
        mlt.train(config, resume=True)
    with pytest.raises(ConfigError, match=r"now handed torch.*BCEWithLogitsLoss"):
        loss = nn.BCEWithLogitsLoss()
        mlt.train(config, data=tables, model=Net(), loss=loss, resume=True)
    mlt.train(config, data=tables, model=Net(), loss=create_loss("focal"), resume=True)
    first, second = (RunFolder(c.output).predictions for c in (config, whole))
    np.testing.assert_array_equal(Predictions.load(first).logits, Predictions.load(second).logits)


def test_a_run_of_the_configuration_is_not_resumed_with_a_loss_of_ones_own(config: Config) -> None:
    mlt.train(config)
    with pytest.raises(ConfigError, match="built its loss when it began, and is now handed"):
        mlt.train(config, loss=create_loss("focal"), resume=True)


class StatefulLoss(nn.Module):
    """A loss with a buffer, that wants to know the epoch and which labels are known."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.epochs: list[int] = []
        self.masks: list[bool] = []

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        self.seen += len(logits)
        self.masks.append(known is not None)
        element = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return element.mean() if known is None else element[known].mean()


def test_a_loss_is_told_the_epoch_and_its_state_is_resumed(config: Config) -> None:
    loss = StatefulLoss()
    mlt.train(config, loss=loss)
    assert loss.epochs == [0, 1]
    assert loss.seen == 2 * 48  # the trial at the start was of a copy
    longer = config.training.model_copy(update={"epochs": 3})
    resumed = StatefulLoss()
    mlt.train(config.model_copy(update={"training": longer}), loss=resumed, resume=True)
    assert resumed.epochs == [2] and resumed.seen == 3 * 48


def test_a_loss_that_takes_no_mask_is_refused_where_labels_are_not_known(
    partly_known: dict[str, Any],
) -> None:
    config = parse_config(partly_known)
    loss = StatefulLoss()
    mlt.train(config, loss=loss)
    assert all(loss.masks[1:])
    with pytest.raises(ConfigError, match="BCEWithLogitsLoss has no argument `known`"):
        mlt.train(config, loss=nn.BCEWithLogitsLoss(), overwrite=True)
    again = RunFolder(config.output)
    assert again.read_handed_over() == {"loss": f"{__name__}.StatefulLoss"}, "it was not touched"


@pytest.mark.parametrize(
    ("handed", "message"),
    [
        ({"loss": nn.BCEWithLogitsLoss(reduction="none")}, r"returns shape \(2, 4\) of .*training"),
        ({"loss": create_loss("focal", reduction="none")}, r"returns shape \(2, 4\) of .*training"),
        (
            {"loss": nn.BCEWithLogitsLoss},
            r"is the class .*BCEWithLogitsLoss; give an instance, BCE",
        ),
        ({"loss": nn.BCELoss()}, "BCELoss could not be called .*between 0 and 1"),
        ({"loss": lambda logits, targets: logits.sum() * 1j}, "of torch.complex64; training"),
        ({"loss": Scaled(detached=True)}, "does not depend on the logits"),
        ({"loss": lambda logits, targets: 3.0}, "returns float"),
        ({"loss": lambda logits, targets: logits.detach().sum()}, "does not depend on the logits"),
        ({"loss": lambda logits: logits.sum()}, "could not be called on logits and targets"),
        ({"loss": "focal"}, "loss is a str; expected"),
        ({"model": "resnet50"}, "model is a str; expected a torch.nn.Module"),
        ({"model": Net(classes=5)}, r"a batch of 1 it returns shape \(1, 5\); .* \(1, 4\)"),
        ({"model": nn.Linear(5, 4)}, r"model: it cannot take images of shape \(3, 32, 32\)"),
        ({"model": Output()}, r"returns SimpleNamespace; .* returns model\(images\)\.logits"),
        ({"model": Net().bfloat16()}, r"weights of torch\.bfloat16; make it model\.float\(\)"),
        ({"model": Net().requires_grad_(False)}, "nothing is left to train"),
        ({"model": nn.Sequential(nn.Flatten(), nn.LazyLinear(4))}, "has lazy parameters"),
        ({"model": ExtraState()}, "_extra_state of its state_dict"),
        ({"on_epoch": 5}, "on_epoch is a int; expected a function"),
        ({"data": {"training": []}}, "training"),
        ({"data": []}, "data"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    config: Config, handed: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        mlt.train(config, **handed)
    assert not Path(config.output).exists()


def test_settings_that_a_model_of_ones_own_cannot_follow(plain_values: dict[str, Any]) -> None:
    plain_values["optimizer"] = {"name": "sgd", "backbone_lr_scale": 0.1}
    with pytest.raises(ConfigError, match=r"optimizer\.backbone_lr_scale: a model of your own"):
        mlt.train(parse_config(plain_values), model=Net())


def test_a_classifier_of_ones_own_can_follow_them(plain_values: dict[str, Any]) -> None:
    plain_values["optimizer"] = {"name": "sgd", "backbone_lr_scale": 0.1}
    plain_values["training"] |= {"head_only_epochs": 1}
    config = parse_config(plain_values)
    model = build_model(config.model, 4)
    backbone = copy.deepcopy(model.backbone.state_dict())
    mlt.train(config, model=model)
    for name, parameter in model.backbone.named_parameters():
        torch.testing.assert_close(parameter, backbone[name])


class Words(Dataset):
    """Images need not be floats of three channels: here each is twelve numbers of words."""

    class_names = ("even", "small")

    def __init__(self) -> None:
        self.words = torch.randint(0, 100, (24, 12), generator=torch.Generator().manual_seed(0))
        first = self.words[:, 0]
        self.targets = torch.stack([first % 2 == 0, first < 50], 1).float()

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.words[row], self.targets[row]


def test_the_trial_of_a_model_is_on_tensors_of_the_datas_own_type(config: Config) -> None:
    model = nn.Sequential(nn.Embedding(100, 8), nn.Flatten(), nn.Linear(96, 2))
    mlt.train(config, data={"train": Words(), "test": Words()}, model=model)
    with pytest.raises(ConfigError, match=r"model: .* shape \(12,\)"):
        mlt.train(
            config, data={"train": Words(), "test": Words()}, model=nn.Linear(5, 2), overwrite=True
        )


def test_a_model_of_ones_own_may_have_any_attributes(config: Config) -> None:
    model = Net()
    model.mean, model.std = torch.zeros(1, 3, 1, 1), 1.0
    mlt.train(config, model=model)


def test_the_command_line_says_how_such_a_run_is_resumed(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlt.cli import main

    mlt.train(config, loss=create_loss("focal"))
    file = RunFolder(config.output).config
    assert main(["train", str(file), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "was handed its loss (mlt.losses.elementwise.ElementwiseLoss) when it began" in said
    assert "mlt.train(config, loss=..., resume=True)" in said


def test_a_report_says_what_was_handed_over_and_keeps_such_runs_apart(
    config: Config, tables: dict[str, LabelTable], tiny_names: list[str], tmp_path: Path
) -> None:
    data = {part: Items(table, tiny_names) for part, table in tables.items()}
    folders = []
    for name, loss in {"plain": nn.BCEWithLogitsLoss(), "stateful": StatefulLoss()}.items():
        other = config.model_copy(update={"output": str(tmp_path / name)})
        mlt.train(other, data=data, loss=loss)
        folders.append(other.output)
    report = load_report(folders)
    assert len(report.methods) == 2  # the configurations differ in nothing
    page = mlt.report.write_report(folders, tmp_path / "report.html").read_text()
    assert "torch.nn.modules.loss.BCEWithLogitsLoss" in page
    assert "handed over from Python" in page  # in place of images of the configuration's data


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_model_whose_layers_share_weights(config: Config, ema: float | None) -> None:
    class Tied(Net):
        def __init__(self) -> None:
            super().__init__()
            self.again = nn.Linear(8 * 64, 4)
            self.again.weight = self.classify.weight

    training = config.training.model_copy(update={"ema_decay": ema})
    config = config.model_copy(update={"training": training})
    summary = mlt.train(config, model=Tied())
    assert mlt.evaluate(config, RunFolder(config.output).last, model=Tied()).total == summary.total


def test_a_compiled_or_parallel_model(config: Config) -> None:
    last = RunFolder(config.output).last
    wrappers = {
        "torch.compile": functools.partial(torch.compile, backend="eager"),
        "DataParallel": nn.DataParallel,
    }
    for name, wrap in wrappers.items():
        summary = mlt.train(config, model=wrap(Net()), overwrite=True)
        assert mlt.evaluate(config, last, model=wrap(Net())).total == summary.total
        with pytest.raises(CheckpointError, match=f"was wrapped in {name}: wrap this one, too"):
            mlt.evaluate(config, last, model=Net())
    mlt.train(config, model=Net(), overwrite=True)
    with pytest.raises(CheckpointError, match="was not wrapped in DataParallel: give what is"):
        mlt.evaluate(config, last, model=nn.DataParallel(Net()))


def test_a_model_that_counts_as_false_is_used(config: Config) -> None:
    class Empty(Net):
        def __len__(self) -> int:
            return 0

    mlt.train(config, model=Empty())
    assert set(load_checkpoint(RunFolder(config.output).last, Net())[0].state_dict()) == set(
        Net().state_dict()
    )


@pytest.mark.parametrize(
    ("in_training", "message"),
    [
        (lambda logits: (logits, logits), "a batch of 16 it returns tuple in training mode"),
        (lambda logits: logits.detach(), "do not depend on parameters that are trained"),
        (lambda logits: (logits > 0).long(), "the logits, of torch.int64, do not depend"),
    ],
)
def test_a_model_that_is_another_in_training_mode(
    config: Config, in_training: Any, message: str
) -> None:
    class Other(Net):
        def forward(self, images: Tensor) -> Any:
            logits = super().forward(images)
            return in_training(logits) if self.training else logits

    with pytest.raises(ConfigError, match=message):
        mlt.train(config, model=Other())


def test_parameters_of_a_loss_are_trained(config: Config) -> None:
    loss = Scaled()
    mlt.train(config, loss=loss)
    assert loss.temperature.item() != 1
    longer = config.training.model_copy(update={"epochs": 3})
    resumed = Scaled()
    mlt.train(config.model_copy(update={"training": longer}), loss=resumed, resume=True)
    assert resumed.temperature.item() not in (1, loss.temperature.item())


def test_clipping_counts_the_parameters_of_a_loss(plain_values: dict[str, Any]) -> None:
    plain_values["training"]["clip_grad_norm"] = 1e-9
    loss = Scaled()
    mlt.train(parse_config(plain_values), loss=loss)
    assert abs(loss.temperature.item() - 1) < 1e-6


def test_a_loss_may_hold_the_model(config: Config) -> None:
    model = Net()

    class Regularised(Scaled):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
            size = self.model.classify.weight.square().sum()
            return super().forward(logits, targets) + 0.01 * size

    mlt.train(config, model=model, loss=Regularised())


def test_a_loss_that_cannot_be_copied(config: Config) -> None:
    loss = StatefulLoss()
    loss.weights = torch.ones(4, requires_grad=True) * 2  # has a graph
    mlt.train(config, loss=loss)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float16])
@pytest.mark.parametrize("part", ["train", "test"])
def test_images_of_another_type_than_the_weights(
    config: Config, tables: dict[str, LabelTable], tiny_names: list[str], dtype: Any, part: str
) -> None:
    data = {name: Items(table, tiny_names) for name, table in tables.items()}
    data[part].images = [image.to(dtype) for image in data[part].images]
    with pytest.raises(
        ConfigError, match=rf"\(3, 32, 32\), {dtype}; make them float32 in the data"
    ):
        mlt.train(config, data=data, model=Net())
    assert not Path(config.output).exists()


def test_evaluate_refuses_what_it_cannot_use(
    config: Config, tables: dict[str, LabelTable], tiny_names: list[str]
) -> None:
    data = {name: Items(table, tiny_names) for name, table in tables.items()}
    mlt.train(config, data=data, model=Net())
    last = RunFolder(config.output).last
    with pytest.raises(ConfigError, match="model is a str; expected a torch"):
        mlt.evaluate(config, last, data=data, model="resnet50")
    with pytest.raises(ConfigError, match=r"data must be a mapping such as .*, got Items"):
        mlt.evaluate(config, last, data=data["test"], model=Net())
    with pytest.raises(ConfigError, match="part must be one of test, validation, not 'train'"):
        mlt.evaluate(config, last, model=Net(), part="train")
    with pytest.raises(ConfigError, match=r"returns model\(images\)\.logits"):
        mlt.evaluate(config, last, data=data, model=Output())
    with pytest.raises(ConfigError, match="not by a dict; for a dictionary there is"):
        mlt.evaluate({}, last)
    data["test"].images = [image.byte() for image in data["test"].images]
    with pytest.raises(ConfigError, match="make them float32"):
        mlt.evaluate(config, last, data=data, model=Net())
