"""`data.cache`: runs on images that are decoded once, held against runs that decode each time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import mlt
from mlt.cli.describe import describe
from mlt.config import parse_config
from mlt.data.dataset import ImageDataset
from mlt.engine.train import train
from mlt.errors import ConfigError
from mlt.predictions import Predictions


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Two epochs, with random crops and a worker."""
    tiny_values["transforms"] = {"name": "modern", "size": 32, "crop_area": [0.5, 1.0]}
    tiny_values["training"] |= {"epochs": 2, "batch_size": 16, "workers": 1}
    return tiny_values


def changed(values: dict[str, Any], name: str, **data: Any) -> dict[str, Any]:
    """The same run in another folder, with other keys of the section data."""
    output = str(Path(values["output"]).with_name(name))
    return values | {"output": output, "data": values["data"] | data}


def results(values: dict[str, Any], **keys: Any) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Weights and logits of a run."""
    train(parse_config(values), **keys)
    folder = Path(values["output"])
    predictions = Predictions.load(folder / "predictions.npz")
    return load_file(folder / "last.safetensors"), predictions.logits


def assert_same(one: Any, other: Any) -> None:
    for name, value in one[0].items():
        assert torch.equal(value, other[0][name]), name
    np.testing.assert_array_equal(one[1], other[1])


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that are decoded by this process."""
    rows: list[int] = []
    prepare = ImageDataset.prepare

    def noted(self: ImageDataset, row: int) -> torch.Tensor:
        rows.append(row)
        return prepare(self, row)

    monkeypatch.setattr(ImageDataset, "prepare", noted)
    return rows


def test_no_number_changes(
    values: dict[str, Any], decodings: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    expected = results(changed(values, "none"))
    values["training"]["workers"] = 0
    decodings.clear()
    with caplog.at_level(logging.INFO):
        assert_same(results(changed(values, "ram", cache="ram")), expected)
    images = 48 + 32
    assert len(decodings) == images
    assert "train: 48 of 48 images are decoded once" in caplog.text
    decodings.clear()
    assert_same(results(changed(values, "disk", cache="disk")), expected)
    assert len(decodings) == images
    assert_same(results(changed(values, "again", cache="disk")), expected)
    assert len(decodings) == images  # the files are found again


def test_with_workers_and_little_room_no_number_changes(values: dict[str, Any]) -> None:
    expected = results(changed(values, "none"))
    assert_same(results(changed(values, "ram", cache="ram", cache_size=1e-4)), expected)


def test_a_run_goes_on_with_another_cache(values: dict[str, Any]) -> None:
    expected = results(values)
    values = changed(values, "resumed")
    values["training"]["epochs"] = 1
    values["schedule"] = values["schedule"] | {"epochs": 2} if "schedule" in values else {}
    train(parse_config(values))
    values["training"]["epochs"] = 2
    values["data"]["cache"] = "ram"
    resumed = results(values, resume=True)
    assert resumed[1].shape == expected[1].shape


def test_stages_share_what_is_decoded(values: dict[str, Any], decodings: list[int]) -> None:
    values["training"] |= {
        "workers": 0,
        "stages": [
            {"epochs": 1},
            {"epochs": 1, "sampler": {"name": "class_aware"}, "head": "reinit"},
        ],
    }
    del values["training"]["epochs"]
    expected = results(changed(values, "none"))
    decodings.clear()
    assert_same(results(changed(values, "ram", cache="ram")), expected)
    assert len(decodings) == 48 + 32


def test_cached_features_need_no_decoded_images(
    values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    values["model"] |= {"freeze": "all"}
    values["data"]["cache"] = "ram"
    with caplog.at_level(logging.INFO):
        train(parse_config(values))
    assert "decoded once" not in caplog.text
    assert "decoded once" not in describe(parse_config(values))


def test_the_dry_run_says_how_much_it_takes(values: dict[str, Any]) -> None:
    assert "decoded once" not in describe(parse_config(values))
    values["data"] |= {"cache": "disk", "cache_size": 2}
    [line] = [line for line in describe(parse_config(values)).splitlines() if "decoded" in line]
    assert line.startswith("decoded once   about ")
    assert line.endswith("at most 2 GB of files")


class Tensors(torch.utils.data.Dataset):
    class_names, targets = ("a", "b"), [[1, 0], [0, 1]] * 4

    def __len__(self) -> int:
        return 8

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(3, 32, 32), torch.tensor(self.targets[row])


def test_tensors_of_ones_own_are_refused(values: dict[str, Any]) -> None:
    values["data"]["cache"] = "ram"
    with pytest.raises(ConfigError, match="a data set of your own gives tensors"):
        mlt.train(parse_config(values), data={"train": Tensors(), "test": Tensors()})


@pytest.mark.parametrize(("key", "value"), [("cache", "memory"), ("cache_size", 0)])
def test_wrong_values_are_named(values: dict[str, Any], key: str, value: Any) -> None:
    values["data"][key] = value
    with pytest.raises(ConfigError, match=f"data.{key}"):
        parse_config(values)
