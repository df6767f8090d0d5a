"""Configurations for one label per image begin to train on small made-up data of their format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cifar_files import BINARY, Cifar
from one_label_files import write_egtea, write_imagenet_lt, write_inaturalist

from mlt.cli import main
from mlt.config import load_config

WRITERS: dict[str, Callable[[Path], Path]] = {
    "cifar10_lt": lambda root: Cifar("cifar10_lt", 2).packed(root, BINARY).parent,
    "cifar100_lt": lambda root: Cifar("cifar100_lt", 2).unpacked(root, BINARY).parent,
    "imagenet_lt": write_imagenet_lt,
    "inat2018": lambda root: write_inaturalist(root, 2018),
    "egtea": write_egtea,
}
LOSSES = ("ce", "cb_softmax", "cb_focal", "cb_sigmoid")


QUICK = ("model.backbone=test_resnet", "transforms.size=32")


@pytest.mark.parametrize("changed", [QUICK, pytest.param((), marks=pytest.mark.slow)])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", WRITERS)
def test_the_dry_run_passes(
    name: str,
    loss: str,
    changed: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = WRITERS[name](tmp_path / "data")
    values = [f"data.root={root}", f"output={tmp_path / 'run'}", "model.weights=none", *changed]
    if name.startswith("cifar"):
        values.append("data.imbalance=2")  # there are two images of each class
    assert main(["train", f"{name}_{loss}", "--dry-run", "--set", *values]) == 0
    printed = capsys.readouterr().out
    assert "but the published data has" in printed
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_losses_differ_in_nothing_else(name: str) -> None:
    configs = [load_config(f"{name}_{loss}").model_dump() for loss in LOSSES]
    for config in configs:
        del config["loss"], config["output"]
    assert configs[0] == configs[1] == configs[2] == configs[3]
    assert (configs[0]["evaluation"]["head"], configs[0]["evaluation"]["tail"]) == (101, 20)


@pytest.mark.parametrize(("name", "imbalance"), [("cifar10_lt", 10), ("cifar100_lt", 100)])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_published_schedule_of_cifar(name: str, imbalance: int, loss: str) -> None:
    """Figures of Cui et al. and Cao et al., which nobody should change by accident."""
    config = load_config(f"{name}_{loss}")
    data, schedule, optimizer = config.data.model_dump(), config.schedule, config.optimizer
    assert (data["name"], data["imbalance"], data["profile"]) == (name, imbalance, "exponential")
    assert data["validation"] is None
    assert config.model.backbone == "cifar_resnet32"
    assert (config.training.epochs, config.training.batch_size) == (200, 128)
    assert (schedule.milestones, schedule.decay_rate, schedule.warmup_epochs) == (
        (160, 180), 0.01, 5,
    )  # fmt: skip
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.1, 0.9)
    assert (optimizer.weight_decay, optimizer.nesterov) == (2e-4, False)
    transforms = config.transforms.model_dump()
    assert (transforms["shift"], transforms["padding"], transforms["flip"]) == (4, "zero", 0.5)
