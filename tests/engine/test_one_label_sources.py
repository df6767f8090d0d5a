"""From each data set of one label per image to a trained model, its results and their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_files import BINARY, PYTHON, Cifar
from one_label_files import write_egtea, write_imagenet_lt, write_inaturalist, write_places_lt

from mlt.config import parse_config
from mlt.data.one_label import true_classes
from mlt.engine.train import train
from mlt.predictions import Predictions
from mlt.report.images import find_images
from mlt.report.runs import load_run

CIFAR10, CIFAR100 = {"name": "cifar10_lt", "imbalance": 4}, {"name": "cifar100_lt", "imbalance": 2}
WRITERS: dict[str, tuple[dict[str, Any], Callable[[Path], Path]]] = {
    "cifar10, binary": (CIFAR10, lambda root: Cifar("cifar10_lt").packed(root, BINARY).parent),
    "cifar10, python": (CIFAR10, lambda root: Cifar("cifar10_lt").packed(root, PYTHON).parent),
    "cifar10, folders": (CIFAR10, lambda root: Cifar("cifar10_lt").folders(root)),
    "cifar10, zip": (CIFAR10, lambda root: Cifar("cifar10_lt").zipped(root).parent),
    "cifar100": (CIFAR100, lambda root: Cifar("cifar100_lt", 2).unpacked(root, PYTHON).parent),
    "imagenet_lt": ({"name": "imagenet_lt"}, write_imagenet_lt),
    "places_lt": ({"name": "places_lt"}, write_places_lt),
    "inat2017": ({"name": "inat2017"}, lambda root: write_inaturalist(root, 2017)),
    "inat2018": ({"name": "inat2018"}, lambda root: write_inaturalist(root, 2018)),
    "egtea": ({"name": "egtea"}, write_egtea),
}


def run_of(values: dict[str, Any], data: dict[str, Any], output: Path, workers: int) -> Predictions:
    """Train for an epoch; return the predictions on the test images."""
    training = {"epochs": 1, "batch_size": 4, "workers": workers}
    config = parse_config(values | {"data": data, "training": training, "output": str(output)})
    train(config)
    return Predictions.load(output / "predictions.npz")


@pytest.mark.parametrize("name", WRITERS)
def test_each_data_set_trains(name: str, tiny_values: dict[str, Any], tmp_path: Path) -> None:
    section, write = WRITERS[name]
    data = section | {"root": str(write(tmp_path / "data"))}
    predictions = run_of(tiny_values, data, tmp_path / "run", workers=0)
    table = parse_config(tiny_values | {"data": data}).data.source().test()
    assert predictions.targets.argmax(axis=1).tolist() == true_classes(table).tolist()
    assert predictions.image_ids.tolist() == table.image_ids.tolist()
    assert np.isfinite(predictions.logits).all()
    images = find_images(load_run(tmp_path / "run"))
    assert images.note == ""
    assert all(images.thumbnail(row) for row in range(min(len(table), 5)))


@pytest.mark.parametrize("name", ["cifar10, binary", "cifar10, zip"])
def test_workers_and_caches_change_no_number(
    name: str, tiny_values: dict[str, Any], tmp_path: Path
) -> None:
    section, write = WRITERS[name]
    data = section | {"root": str(write(tmp_path / "data"))}
    expected = run_of(tiny_values, data, tmp_path / "one", workers=0)
    for cache, workers in (("none", 2), ("ram", 0), ("disk", 2)):
        cached = data | {"cache": cache}
        again = run_of(tiny_values, cached, tmp_path / f"{cache}{workers}", workers)
        np.testing.assert_array_equal(again.logits, expected.logits)


def test_forms_of_the_same_images_train_to_the_same_model(
    tiny_values: dict[str, Any], tmp_path: Path
) -> None:
    """The archives hold the same images in the same order."""
    logits = [
        run_of(
            tiny_values, section | {"root": str(write(tmp_path / name))}, tmp_path / "r" / name, 0
        )
        for name, (section, write) in WRITERS.items()
        if name in ("cifar10, binary", "cifar10, python")
    ]
    np.testing.assert_array_equal(logits[0].logits, logits[1].logits)
