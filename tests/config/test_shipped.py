"""Every configuration that ships: it reads, says how to run it, and follows its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlt.config import load_config, shipped_configs
from mlt.losses.loss_config import PresetLoss

CONFIGS = shipped_configs()
LOSSES = [
    "bce",
    "cb_bce",
    "focal",
    "cb_focal",
    "class_aware_bce",
    "class_aware_focal",
    "r_bce",
    "db_focal",
    "asl",
]
PUBLISHED = [f"{data}_{loss}" for data in ("coco_mlt", "voc_mlt") for loss in LOSSES]


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_it_reads_and_its_first_line_runs_it(name: str) -> None:
    config = load_config(CONFIGS[name])
    first = CONFIGS[name].read_text().splitlines()[0]
    assert first.startswith(f"# python tools/train.py configs/{name}.yaml")
    assert config.output == f"runs/{name}"


def test_the_configurations_that_others_rely_on_are_there() -> None:
    digits = [f"digits_mlt_{x}" for x in ("bce", "cb_bce", "focal", "cb_focal")]
    assert set(PUBLISHED + digits + ["own_data_coco", "own_data_csv"]) <= set(CONFIGS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_protocol(name: str) -> None:
    """Figures of the published baselines, which nobody should change by accident."""
    config = load_config(CONFIGS[name])
    assert config.model.backbone == "resnet50.tv_in1k"
    assert config.model.freeze == ("conv1", "bn1", "layer1")
    assert config.model.head.model_dump() == {"name": "projection", "width": 256, "dropout": 0.5}
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.02, 0.9)
    assert optimizer.weight_decay == 1e-4
    assert not optimizer.nesterov
    assert config.training.batch_size == 32
    assert config.training.clip_grad_norm == 35
    assert config.schedule.warmup_updates == 500
    assert config.schedule.warmup_from == pytest.approx(1 / 3, abs=1e-4)
    assert config.transforms.name == "published"
    assert (config.evaluation.head, config.evaluation.tail) == (100, 20)


def test_configurations_are_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("voc_mlt_bce", "voc_mlt_bce.yaml", "configs/voc_mlt_bce.yaml"):
        assert load_config(name).output == "runs/voc_mlt_bce"


@pytest.mark.parametrize(("data", "mu", "neg_scale"), [("coco_mlt", 0.2, 2), ("voc_mlt", 0.3, 5)])
def test_the_published_distribution_balanced_loss(data: str, mu: float, neg_scale: float) -> None:
    config = load_config(CONFIGS[f"{data}_db_focal"])
    preset = {"map_alpha": 0.1, "map_beta": 10, "map_gamma": mu, "neg_scale": neg_scale}
    options = {**preset, "init_bias": 0.05, "gamma": 2, "scale": 2}
    assert config.loss == PresetLoss(preset="db_focal", options=options).resolve()
    assert config.sampler.model_dump()["name"] == "class_aware"
    assert config.training.epochs == 8
    assert config.schedule.milestones == (5, 7)
