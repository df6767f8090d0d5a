"""Samples: labels, masks, and what an unreadable image becomes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

from mlt.data.dataset import Draw, ImageDataset
from mlt.data.labels import LabelTable
from mlt.data.transform_settings import PublishedTransforms
from mlt.data.transforms import build_transforms
from mlt.errors import ConfigError

TRANSFORM = build_transforms(
    PublishedTransforms(name="published", size=16), (0.5,) * 3, (0.5,) * 3, train=True
)


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    """Two images that are there, an absent and a damaged one; class b unknown for the second."""
    for name in ("0.png", "sub/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.linear_gradient("L").resize((30, 20)).save(path)
    (tmp_path / "3.png").write_bytes(b"\x89PNG")
    return LabelTable.from_lists(
        [10, 11, 12, 13],
        ["0.png", "sub/1.jpg", "2.png", "3.png"],
        ["a", "b"],
        [[0], [], [1], [0, 1]],
        tmp_path,
        known_indices=[[0, 1], [0], [0, 1], [0, 1]],
    )


def test_labels_and_masks(table: LabelTable) -> None:
    dataset = ImageDataset(table, TRANSFORM)
    assert len(dataset) == 4
    first, second = dataset[0], dataset[1]
    assert (first.row, first.target.tolist(), first.known.tolist()) == (0, [1, 0], [True, True])
    assert (second.row, second.target.tolist(), second.known.tolist()) == (1, [0, 0], [True, False])
    assert first.target.dtype == torch.float32
    assert first.image.shape == (3, 16, 16)
    assert first.problem is None


def test_without_mask(table: LabelTable) -> None:
    bare = LabelTable(table.image_ids, table.paths, table.class_names, table.labels, None)
    assert ImageDataset(bare, TRANSFORM)[0].known is None


def test_unreadable_images_say_why(table: LabelTable) -> None:
    dataset = ImageDataset(table, TRANSFORM)
    for row, reason in ((2, "does not exist"), (3, "cannot be read")):
        sample = dataset[row]
        assert sample.image is None
        assert reason in sample.problem
        assert str(table.image_path(row)) in sample.problem
        assert sample.target.tolist() == table.targets([row])[0].tolist()


def test_a_draw_is_augmented_by_its_seed_alone(table: LabelTable) -> None:
    dataset = pickle.loads(pickle.dumps(ImageDataset(table, TRANSFORM)))  # noqa: S301
    torch.manual_seed(0)
    one = dataset[Draw(0, 5)].image
    torch.manual_seed(1)
    state = torch.get_rng_state()
    two = dataset[Draw(0, 5)].image
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), state), "the generator of the model is untouched"
    assert not torch.equal(one, dataset[Draw(0, 6)].image)


def test_a_bug_in_a_transform_is_no_unreadable_image(table: LabelTable) -> None:
    def broken(image: Image.Image) -> torch.Tensor:
        raise ZeroDivisionError

    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        ImageDataset(table, broken, on_error="skip")[Draw(0, 1)]
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_rule(table: LabelTable) -> None:
    with pytest.raises(ConfigError, match="'raise' or 'skip'"):
        ImageDataset(table, TRANSFORM, on_error="ignore")
