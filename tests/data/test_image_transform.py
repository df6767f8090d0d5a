"""Transforms in parts: number for number what torchvision does in one go."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from mlt.data.distortion import PhotometricDistortion, RandomSideCrop
from mlt.data.image_transform import ImageTransform, Normalise
from mlt.data.transform_settings import ModernTransforms, PlainTransforms, PublishedTransforms
from mlt.data.transforms import build_transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BEFORE = [v2.PILToTensor()]
FLOAT = v2.ToDtype(torch.float32, scale=True)
NORMALISE = v2.Normalize(list(MEAN), list(STD))


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(noise)


WHOLE = {
    "published": (
        PublishedTransforms(name="published", size=32),
        [
            RandomSideCrop(0.8),
            v2.Resize([32, 32], InterpolationMode.BILINEAR, antialias=False),
            FLOAT,
            PhotometricDistortion(),
            v2.RandomHorizontalFlip(0.5),
            NORMALISE,
        ],
    ),
    "modern": (
        ModernTransforms(name="modern", size=32, color_jitter=0, erase=0.5),
        [
            v2.RandomResizedCrop([32, 32], scale=(0.5, 1.0)),
            v2.RandomHorizontalFlip(0.5),
            FLOAT,
            NORMALISE,
            v2.RandomErasing(0.5),
        ],
    ),
    "plain": (
        PlainTransforms(name="plain", size=32),
        [
            v2.Resize([32, 32]),
            v2.Pad(4, padding_mode="edge"),
            v2.RandomCrop([32, 32]),
            v2.RandomHorizontalFlip(0.0),
            FLOAT,
            NORMALISE,
        ],
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_training_is_what_torchvision_does_in_one_go(picture: Image.Image, name: str) -> None:
    config, steps = WHOLE[name]
    ours = pickle.loads(pickle.dumps(build_transforms(config, MEAN, STD, train=True)))  # noqa: S301
    for seed in range(6):
        torch.manual_seed(seed)
        expected = v2.Compose([*BEFORE, *steps])(picture)
        torch.manual_seed(seed)
        assert torch.equal(ours(picture), expected)


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_evaluation_is_what_torchvision_does_in_one_go(picture: Image.Image, resize: str) -> None:
    steps = {
        "squash": [v2.Resize([32, 32]), FLOAT, NORMALISE],
        "crop": [v2.Resize(32), v2.CenterCrop(32), FLOAT, NORMALISE],
        "pad": [v2.Resize([24, 32]), FLOAT, NORMALISE, v2.CenterCrop(32)],
    }[resize]
    config = ModernTransforms(name="modern", size=32, resize=resize)
    ours = build_transforms(config, MEAN, STD, train=False)
    assert torch.equal(ours(picture), v2.Compose([*BEFORE, *steps])(picture))


def test_what_is_the_same_every_time_comes_first(picture: Image.Image) -> None:
    plain = build_transforms(WHOLE["plain"][0], MEAN, STD, train=True)
    assert plain.prepare(picture).shape == (3, 32, 32)
    assert plain.prepare(picture).dtype == torch.uint8
    modern = build_transforms(WHOLE["modern"][0], MEAN, STD, train=True)
    assert modern.prepare(picture).shape == (3, 60, 80)


def test_nothing_may_follow_what_is_left_for_later() -> None:
    assert build_transforms(WHOLE["plain"][0], MEAN, STD, train=True).normalise_later
    assert not build_transforms(WHOLE["modern"][0], MEAN, STD, train=True).normalise_later
    padded = ModernTransforms(name="modern", size=32, resize="pad")
    assert not build_transforms(padded, MEAN, STD, train=False).normalise_later


@pytest.mark.parametrize("shape", [(3, 5, 7), (4, 3, 5, 7), (0, 3, 0, 0)])
def test_batches_are_normalised_as_images_are(shape: tuple[int, ...]) -> None:
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    expected = v2.Compose([FLOAT, NORMALISE])(pixels)
    assert torch.equal(Normalise(MEAN, STD)(pixels), expected)
    assert torch.equal(Normalise(MEAN, STD)(pixels.to(torch.float32).mul_(1 / 255)), expected)


@pytest.mark.parametrize("area", [0.08, 0.5, 1.0])
@pytest.mark.parametrize("ratio", [(0.75, 4 / 3), (1.0, 1.0), (1.5, 2.0)])
def test_no_crop_of_a_reduced_image_is_enlarged(area: float, ratio: tuple[float, float]) -> None:
    config = ModernTransforms(name="modern", size=32, crop_area=(area, 1.0), crop_ratio=ratio)
    transform = build_transforms(config, MEAN, STD, train=True)
    shorter = transform.shorter_side
    assert shorter is not None
    crop = transform.steps[0]
    torch.manual_seed(0)
    for height, width in ((shorter, shorter), (shorter, 2 * shorter), (4 * shorter, shorter)):
        image = torch.empty(3, height, width, device="meta")
        for _ in range(300):
            drawn = crop.make_params([image])
            assert min(drawn["height"], drawn["width"]) >= 31, "rounded to whole pixels"


def test_without_averaging_no_image_is_reduced() -> None:
    assert build_transforms(WHOLE["published"][0], MEAN, STD, train=True).shorter_side is None
    smooth = PublishedTransforms(name="published", size=32, antialias=True)
    assert build_transforms(smooth, MEAN, STD, train=True).shorter_side == 40


def test_steps_need_not_be_of_a_preset(picture: Image.Image) -> None:
    transform = ImageTransform([], Normalise((0.0,) * 3, (1.0,) * 3))
    assert torch.equal(transform(picture), v2.Compose([*BEFORE, FLOAT])(picture))
