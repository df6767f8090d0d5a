"""The presets, against resizing by hand and against the published recipe."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from torchvision.transforms import InterpolationMode, v2

from mlt.data.transform_settings import (
    ModernTransforms,
    PlainTransforms,
    PublishedTransforms,
    RandAugment,
    TransformsConfig,
    TrivialAugment,
)
from mlt.data.transforms import (
    Preprocessing,
    build_transforms,
    eval_preprocessing,
    eval_transform,
)
from mlt.errors import CheckpointError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONFIGS = [
    PublishedTransforms(name="published", size=32),
    ModernTransforms(name="modern", size=32),
    ModernTransforms(name="modern", size=32, resize="crop", interpolation="bicubic"),
    ModernTransforms(name="modern", size=32, resize="pad", erase=0.5, color_jitter=0),
    PlainTransforms(name="plain", size=32),
    PublishedTransforms(name="published", size=32, policy=TrivialAugment(name="trivial")),
    PlainTransforms(name="plain", size=32, policy=RandAugment(name="rand"), erase=1.0),
]


def photograph(width: int = 50, height: int = 40) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def raw(image: Image.Image, **form: Any) -> torch.Tensor:
    """The preprocessed image on the scale 0 to 255."""
    transform = eval_transform(Preprocessing(mean=(0,) * 3, std=(1,) * 3, **form))
    return transform(image) * 255


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{getattr(c, 'resize', '')}")
@pytest.mark.parametrize("size", [(50, 40), (40, 50), (7, 9), (300, 8), (32, 32)])
def test_shape_and_type(config: Any, train: bool, size: tuple[int, int]) -> None:
    tensor = build_transforms(config, MEAN, STD, train)(photograph(*size))
    assert type(tensor) is torch.Tensor
    assert tensor.shape == (3, 32, 32)
    assert tensor.dtype == torch.float32
    assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("config", CONFIGS)
def test_training_is_random_and_follows_the_seed(config: Any) -> None:
    transform = pickle.loads(pickle.dumps(build_transforms(config, MEAN, STD, train=True)))  # noqa: S301
    results = []
    for seed in (0, 0, 1, 2):
        torch.manual_seed(seed)
        results.append(transform(photograph()))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2]) or not torch.equal(results[0], results[3])


@pytest.mark.parametrize("config", CONFIGS)
def test_evaluation_is_deterministic_and_described_by_plain_values(config: Any) -> None:
    form = eval_preprocessing(config, MEAN, STD)
    again = Preprocessing.from_dict(json.loads(json.dumps(form.to_dict())))
    assert again == form
    image = photograph()
    expected = build_transforms(config, MEAN, STD, train=False)(image)
    assert torch.equal(eval_transform(again)(image), expected)
    assert torch.equal(eval_transform(again)(image), expected)


def test_normalisation() -> None:
    form = Preprocessing(size=4, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    tensor = eval_transform(form)(Image.new("RGB", (4, 4), (255, 255, 255)))
    assert tensor[:, 0, 0].tolist() == [1.0, 3.0, 0.5]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_antialiased_resizing_equals_pillows(interpolation: str) -> None:
    image = photograph(60, 45)
    found = raw(image, size=20, interpolation=interpolation)
    expected = np.asarray(image.resize((20, 20), Image.Resampling[interpolation.upper()]))
    assert np.abs(found.permute(1, 2, 0).numpy() - expected).max() < 1.5


def test_resizing_without_antialias_takes_the_two_nearest_pixels() -> None:
    # 8 to 2: the new centres lie at 1.5 and 5.5, between pixels 1, 2 and 5, 6 (as cv2 does it).
    row = np.array([0, 10, 30, 90, 0, 100, 200, 0], np.uint8)
    image = Image.fromarray(np.tile(row[None, :, None], (8, 1, 3)))
    found = raw(image, size=2, antialias=False)
    assert found[0, 0].round().tolist() == [20, 150]


def test_squash_crop_and_pad() -> None:
    # Red left third, green middle third, blue right third, twice as wide as high.
    values = np.zeros((20, 40, 3), np.uint8)
    values[:, :10, 0] = values[:, 10:30, 1] = values[:, 30:, 2] = 255
    image = Image.fromarray(values)
    squashed, cropped, padded = (
        raw(image, size=20, resize=resize) for resize in ("squash", "crop", "pad")
    )
    assert squashed[:, 10, 0].tolist() == [255, 0, 0]
    assert squashed[:, 10, 19].tolist() == [0, 0, 255]
    assert cropped[0].max() == 0, "the middle square is green alone"
    assert padded[:, :5].abs().max() == 0
    assert padded[:, 15:].abs().max() == 0
    assert padded[:, 10, 0].tolist() == [255, 0, 0]


def test_published_defaults() -> None:
    config = PublishedTransforms(name="published")
    assert (config.size, config.min_crop, config.flip, config.distort) == (224, 0.8, 0.5, True)
    assert eval_preprocessing(config, MEAN, STD).resize == "squash"


def test_plain_does_not_mirror() -> None:
    values = np.zeros((32, 32, 3), np.uint8)
    values[:, :16] = 255
    transform = build_transforms(PlainTransforms(name="plain", size=32), (0,) * 3, (1,) * 3, True)
    for _ in range(20):
        tensor = transform(Image.fromarray(values))
        assert tensor[:, :, 0].min() == 1
        assert tensor[:, :, -1].max() == 0


def test_plain_shift_repeats_the_border() -> None:
    values = np.full((16, 16, 3), 9, np.uint8)
    config = PlainTransforms(name="plain", size=16, shift=5)
    tensor = build_transforms(config, (0,) * 3, (1,) * 3, True)(Image.fromarray(values))
    assert torch.allclose(tensor, torch.tensor(9 / 255))


@pytest.mark.parametrize(
    ("padding", "beyond"), [("edge", [1, 1]), ("reflect", [3, 2]), ("zero", [0, 0])]
)
def test_what_a_plain_shift_moves_into_view(padding: str, beyond: list[int]) -> None:
    columns = np.arange(1, 9, dtype=np.uint8)
    image = Image.fromarray(np.broadcast_to(columns[:, None], (8, 8, 3)).copy())
    values = {"name": "plain", "size": 8, "shift": 2, "padding": padding}
    config = TypeAdapter(TransformsConfig).validate_python(values)
    transform = build_transforms(config, (0,) * 3, (1,) * 3, True)
    rows = {tuple((transform(image)[0, 4] * 255).round().int().tolist()) for _ in range(60)}
    assert {row[:4] for row in rows if row[2] == 1} == {(*beyond, 1, 2)}  # by two to the right
    assert len(rows) == 5  # by 0, 1 and 2 pixels to either side


@given(
    form=st.builds(
        Preprocessing,
        size=st.integers(1, 1000),
        mean=st.tuples(*[st.floats(0, 1)] * 3),
        std=st.tuples(*[st.floats(0.01, 1)] * 3),
        resize=st.sampled_from(["squash", "crop", "pad"]),
        interpolation=st.sampled_from(["bilinear", "bicubic"]),
        antialias=st.booleans(),
    )
)
def test_description_survives_json(form: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(form.to_dict()))) == form


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"resize": "stretch"},
        {"interpolation": "lanczos"},
        {"mean": [0.5]},
        {"size": 0},
        {"size": "large"},
    ],
)
def test_bad_description(change: dict[str, Any]) -> None:
    values = Preprocessing(size=8, mean=MEAN, std=STD).to_dict() | change
    with pytest.raises(CheckpointError, match="preprocessing"):
        Preprocessing.from_dict(values)


def test_incomplete_description() -> None:
    with pytest.raises(CheckpointError, match="lacks \\['mean', 'std'\\]"):
        Preprocessing.from_dict({"size": 8})


@pytest.mark.parametrize(
    "values",
    [
        {"name": "modern", "crop_area": [0.8, 0.5]},
        {"name": "modern", "crop_area": [0.0, 1.0]},
        {"name": "modern", "crop_ratio": [2.0, 1.0]},
        {"name": "published", "min_crop": 0},
        {"name": "plain", "shift": -1},
        {"name": "plain", "min_crop": 0.8},
        {"name": "plain", "padding": "wrap"},
        {"name": "plain", "size": 8, "shift": 8, "padding": "reflect"},
        {"name": "fancy"},
    ],
)
def test_bad_config(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TransformsConfig).validate_python(values)


@pytest.mark.parametrize(
    ("policy", "theirs"),
    [
        (TrivialAugment(name="trivial"), v2.TrivialAugmentWide),
        (
            RandAugment(name="rand", num_ops=3, magnitude=15),
            lambda **options: v2.RandAugment(3, 15, **options),
        ),
    ],
)
@pytest.mark.parametrize("preset", ["published", "modern", "plain"])
def test_a_policy_is_torchvisions(preset: str, policy: Any, theirs: Any) -> None:
    config: Any = TypeAdapter(TransformsConfig).validate_python(
        {"name": preset, "size": 32, "policy": policy.model_dump()}
    )
    transform = build_transforms(config, (0.5, 0.4, 0.3), (1,) * 3, train=True)
    steps = [*transform.fixed, *transform.steps]
    names = [type(step).__name__ for step in steps]
    expected = theirs(interpolation=InterpolationMode.BILINEAR, fill=[128, 102, 76])  # mean colour
    place = names.index(type(expected).__name__)
    assert "ToDtype" not in names[:place]  # on 8-bit values, as the policies were published
    assert place > min(names.index(n) for n in ("RandomResizedCrop", "Resize") if n in names)
    pixels = torch.from_numpy(np.array(photograph(32, 32))).permute(2, 0, 1)
    changed = 0
    for seed in range(20):
        torch.manual_seed(seed)
        ours = steps[place](pixels)
        torch.manual_seed(seed)
        assert torch.equal(ours, expected(pixels))
        changed += not torch.equal(ours, pixels)
    assert changed > 10


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        (PublishedTransforms(name="published", distort=False), torch.uint8),
        (PublishedTransforms(name="published"), torch.float32),
        (ModernTransforms(name="modern", color_jitter=0.0), torch.uint8),
        (ModernTransforms(name="modern"), torch.float32),
        (PlainTransforms(name="plain"), torch.uint8),
    ],
)
def test_without_colours_images_stay_bytes(config: Any, dtype: torch.dtype) -> None:
    transform = build_transforms(config, (0.5,) * 3, (0.5,) * 3, train=True)
    assert transform.augment(transform.prepare(photograph(40, 30))).dtype == dtype


@pytest.mark.parametrize("preset", ["published", "modern", "plain"])
def test_erased_pixels_have_the_mean_colour(preset: str) -> None:
    config: Any = TypeAdapter(TransformsConfig).validate_python(
        {"name": preset, "size": 32, "erase": 1.0}
    )
    tensor = build_transforms(config, MEAN, STD, train=True)(Image.new("RGB", (40, 30), "white"))
    erased = (tensor == 0).all(0)
    assert 0 < erased.sum() < 32 * 32
    assert not (tensor == 0).any(0)[~erased].any()


def test_evaluation_sees_no_policy_and_nothing_erased() -> None:
    plain = PlainTransforms(name="plain", size=32)
    config = plain.model_copy(update={"policy": TrivialAugment(name="trivial"), "erase": 1.0})
    assert eval_preprocessing(config, MEAN, STD) == eval_preprocessing(plain, MEAN, STD)
