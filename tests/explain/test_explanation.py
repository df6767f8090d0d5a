"""Maps come back to where things are in the photograph, however the network was shown it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.data.transforms import Preprocessing
from mlt.errors import ConfigError
from mlt.explain import Explanation, explain
from mlt.inference import NoPrediction, Predictor
from mlt.models import Classifier
from mlt.models.heads import SpatialHead

SIZE, CELL = 96, 8


class Brightness(nn.Module):
    """A timm-like backbone with one feature: how bright each cell of 8 x 8 pixels is."""

    num_features = 1

    def forward_features(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images.mean(1, keepdim=True), CELL).relu()

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        return features.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


class Brightest(SpatialHead):
    """Attention is each cell's share of the brightness; two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3)) * torch.tensor([1.0, -1.0]) + self.bias

    def attention(self, features: Tensor) -> Tensor:
        return (features / features.sum((2, 3), keepdim=True)).expand(-1, 2, -1, -1)


def predictor(resize: str, head: nn.Module | None = None) -> Predictor:
    if head is None:
        head = nn.Linear(1, 2)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
            head.bias.zero_()
    form = Preprocessing(size=SIZE, mean=(0.0,) * 3, std=(1.0,) * 3, resize=resize)  # type: ignore[arg-type]
    return Predictor(Classifier(Brightness(), head), ["bright", "dark"], form, device="cpu")


def photograph(path: Path, size: tuple[int, int], middle: tuple[int, int]) -> Path:
    """A dark picture with a bright square of 40 pixels."""
    picture = Image.new("RGB", size)
    picture.paste((255, 255, 255), (middle[0] - 20, middle[1] - 20, middle[0] + 20, middle[1] + 20))
    picture.save(path)
    return path


def seen_at(one: Explanation) -> tuple[float, float]:
    """The middle of what the overlay colours, in pixels of the photograph."""
    grey = np.asarray(one.photograph, float)
    strength = np.abs(np.asarray(one.overlay(0), float) - grey).sum(-1)
    rows, columns = np.indices(strength.shape)
    total = strength.sum()
    return float((columns * strength).sum() / total), float((rows * strength).sum() / total)


@pytest.mark.parametrize("head", ["linear", "attention"])
@pytest.mark.parametrize(
    ("resize", "size", "middle"),
    [
        ("squash", (300, 200), (250, 50)),
        ("squash", (150, 400), (40, 330)),
        ("crop", (500, 250), (320, 60)),
        ("crop", (250, 500), (60, 320)),
        ("pad", (500, 250), (430, 200)),
        ("pad", (250, 500), (60, 100)),
    ],
)
def test_a_bright_square_is_found_where_it_is(
    tmp_path: Path, resize: str, size: tuple[int, int], middle: tuple[int, int], head: str
) -> None:
    file = photograph(tmp_path / "a.png", size, middle)
    asked = predictor(resize, Brightest() if head == "attention" else None)
    (one,) = explain(asked, [file], classes=["bright"])
    assert isinstance(one, Explanation)
    assert one.photograph.size == size
    x, y = seen_at(one)
    # A cell is at most 500 / 96 * 8 = 42 pixels wide.
    assert abs(x - middle[0]) < 10
    assert abs(y - middle[1]) < 10


def test_what_a_crop_cuts_off_is_not_coloured(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (300, 100), "white").save(file)
    (one,) = explain(predictor("crop"), [file], classes=["bright"])
    assert isinstance(one, Explanation)
    changed = np.asarray(one.overlay(0))[50, :, 2] != 255
    assert np.flatnonzero(changed)[[0, -1]].tolist() == [100, 199]
    assert changed[100:200].all()
    assert one.overlay(0, side=150).size == one.shrunk(150).size == (150, 50)
    assert one.overlay(0, side=9999).size == (300, 100)


def test_which_labels_are_shown(tmp_path: Path) -> None:
    asked = predictor("squash")
    paths = [photograph(tmp_path / f"{n}.png", (90, 90), (40, 40)) for n in range(2)]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    answers = list(explain(asked, [paths[0], broken, paths[1]], batch_size=2))
    assert isinstance(answers[1], NoPrediction)
    assert "broken.png" in answers[1].error
    assert [a.columns for a in answers if isinstance(a, Explanation)] == [[0], [0]]

    def columns(**options: object) -> list[int]:
        (one,) = explain(asked, paths[:1], **options)  # type: ignore[arg-type]
        assert isinstance(one, Explanation)
        return one.columns

    assert columns(top=2) == [0, 1]
    assert columns(classes=["dark", "bright", "dark"]) == [1, 0]
    # Where no label reaches its threshold, the most probable one is shown.
    with torch.no_grad():
        asked.model.head.bias.fill_(-9.0)  # type: ignore[union-attr, operator]
    assert columns() == [0]


def test_what_cannot_be_explained(tmp_path: Path) -> None:
    file = photograph(tmp_path / "a.png", (90, 90), (40, 40))
    asked = predictor("squash")
    with pytest.raises(ConfigError, match="no class 'brigth'; did you mean 'bright'"):
        list(explain(asked, [file], classes=["brigth"]))
    with pytest.raises(ConfigError, match="at least 1"):
        list(explain(asked, [file], top=0))
    with pytest.raises(ConfigError, match="not beside classes"):
        list(explain(asked, [file], top=1, classes=["dark"]))
    both = Predictor([asked.model, asked.model], asked.class_names, [asked.preprocessing] * 2)
    with pytest.raises(ConfigError, match="one after the other"):
        list(explain(both, [file]))
    foreign = Predictor(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2)),
        asked.class_names,
        asked.preprocessing,
        device="cpu",
    )
    with pytest.raises(ConfigError, match="Sequential does not have the methods"):
        list(explain(foreign, [file]))
