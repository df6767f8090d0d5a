"""Views of an image, held against Pillow's cropping and the plain transform."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from mlt.data.transforms import Preprocessing, eval_transform
from mlt.data.view_settings import Place, ViewConfig, expand_views
from mlt.data.view_transform import inputs_of, view_transform
from mlt.errors import ConfigError

HALF = (0.5, 0.5, 0.5)


@pytest.fixture
def image() -> Image.Image:
    """A noisy image, 64 wide and 40 high."""
    values = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("resize", "place", "box"),  # left, top, right, bottom at zoom 2
    [
        ("squash", "middle", (16, 10, 48, 30)),
        ("squash", "top_left", (0, 0, 32, 20)),
        ("squash", "top_right", (32, 0, 64, 20)),
        ("squash", "bottom_left", (0, 20, 32, 40)),
        ("squash", "bottom_right", (32, 20, 64, 40)),
        ("pad", "bottom_right", (32, 20, 64, 40)),
        ("crop", "middle", (22, 10, 42, 30)),
        ("crop", "top_right", (44, 0, 64, 20)),
    ],
)
def test_a_view_is_the_transform_of_a_part(
    image: Image.Image,
    resize: Literal["squash", "crop", "pad"],
    place: Place,
    box: tuple[int, int, int, int],
) -> None:
    form = Preprocessing(16, HALF, HALF, resize=resize)
    seen = view_transform(form, ViewConfig(zoom=2, place=place))(image)
    torch.testing.assert_close(seen, eval_transform(form)(image.crop(box)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (["whole", "miror"], "'miror' is not known; did you mean 'mirror'"),
        ("whole, mirror", "must be a list of at least one view"),
        ({"zoom": 2}, "must be a list of at least one view"),
        ([], "must be a list of at least one view"),
        ([{"zom": 2}], "zom: unknown key; did you mean 'zoom'"),
        ([{"zoom": 0.5}], "zoom: must be greater than or equal to 1"),
        ([3], "3 is not known"),
    ],
)
def test_what_is_no_view(views: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        expand_views(views)


def test_a_section_as_in_yaml() -> None:
    assert expand_views([{"zoom": 1.5, "mirror": True}]) == (ViewConfig(zoom=1.5, mirror=True),)


def test_inputs_are_made_once_and_split_as_they_were(image: Image.Image) -> None:
    small, large = Preprocessing(8, HALF, HALF), Preprocessing(12, HALF, HALF)
    views = expand_views(["whole", "ten_crops", ViewConfig(size=12)])
    inputs = inputs_of([(small, views), (large, views[:1])])
    assert inputs.sizes == (8, 8, 8, 8, 8, 8, 12)  # no input of its own for a mirror image
    assert [view.index for view in inputs.views[0]] == [0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]
    assert [view.mirror for view in inputs.views[0]] == [False] * 6 + [True] * 5 + [False]
    assert [view.index for view in inputs.views[1]] == [6]
    parts = inputs.split(torch.stack([inputs.transform(image)] * 2))
    assert torch.equal(parts[0][1], eval_transform(small)(image))
    assert torch.equal(parts[6][1], eval_transform(large)(image))
    assert torch.equal(parts[2][0], view_transform(small, views[2])(image))


def test_the_whole_image_alone_takes_the_plain_transform(image: Image.Image) -> None:
    form = Preprocessing(8, HALF, HALF)
    inputs = inputs_of([(form, expand_views(["whole"], mirror=True))])
    assert torch.equal(inputs.transform(image), eval_transform(form)(image))
    (part,) = inputs.split(inputs.transform(image)[None])
    assert part.shape == (1, 3, 8, 8)


def test_a_part_has_at_least_one_pixel() -> None:
    form = Preprocessing(4, HALF, HALF)
    thin = Image.new("RGB", (1, 3))
    assert view_transform(form, ViewConfig(zoom=100, place="top_right"))(thin).shape == (3, 4, 4)
