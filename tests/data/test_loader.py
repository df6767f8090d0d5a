"""Batches: exact under processes and resumption, with images that cannot be read."""

from __future__ import annotations

import logging
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image

from mlt.data import loader as loader_module
from mlt.data.dataset import Draw, ImageDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Batch, Loader, build_loader, default_workers
from mlt.data.samplers import SequentialSampler, ShuffleSampler, WeightedSampler
from mlt.data.transform_settings import ModernTransforms, PublishedTransforms
from mlt.data.transforms import build_transforms
from mlt.errors import ConfigError, DataError

TRANSFORM = build_transforms(
    PublishedTransforms(name="published", size=16), (0.5,) * 3, (0.5,) * 3, train=True
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(23):
        Image.linear_gradient("L").resize((20 + number, 20)).save(folder / f"{number}.png")
    return folder


def dataset(
    root: Path,
    number: int = 23,
    on_error: Literal["raise", "skip"] = "raise",
    masked: bool = False,
) -> ImageDataset:
    rows = range(number)
    table = LabelTable.from_lists(
        rows,
        [f"{i}.png" for i in rows],
        ["even", "third"],
        [[0] * (i % 2 == 0) + [1] * (i % 3 == 0) for i in rows],
        root,
        known_indices=[[0, 1] if i % 3 == 0 or i % 2 == 0 else [0] for i in rows]
        if masked
        else None,
    )
    return ImageDataset(table, TRANSFORM, on_error)


def epoch(loader: Loader, number: int, start_batch: int = 0) -> list[Batch]:
    loader.set_epoch(number, start_batch)
    expected = len(loader)
    batches = list(loader)
    assert len(batches) == expected
    return batches


def same(one: list[Batch], two: list[Batch]) -> bool:
    return len(one) == len(two) and all(
        torch.equal(a.indices, b.indices) and torch.equal(a.images, b.images)
        for a, b in zip(one, two)
    )


def test_evaluation_goes_through_the_table_in_order(root: Path) -> None:
    data = dataset(root, masked=True)
    batches = list(build_loader(data, batch_size=5, workers=0))
    assert [len(batch.indices) for batch in batches] == [5, 5, 5, 5, 3]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(23))
    targets = torch.cat([batch.targets for batch in batches])
    assert targets.tolist() == data.table.targets(range(23)).tolist()
    known = torch.cat([batch.known for batch in batches])
    assert known.tolist() == data.table.known_mask(range(23)).tolist()
    assert batches[0].images.shape == (5, 3, 16, 16)
    assert batches[0].known.dtype == torch.bool


def test_without_mask(root: Path) -> None:
    assert next(iter(build_loader(dataset(root), 4, workers=0))).known is None


def test_batches_do_not_depend_on_the_number_of_workers(root: Path) -> None:
    data = dataset(root)
    inside = build_loader(data, 4, ShuffleSampler(23, seed=1), workers=0, seed=1)
    outside = build_loader(data, 4, ShuffleSampler(23, seed=1), workers=2, seed=1)
    first = epoch(inside, 0)
    assert same(first, epoch(outside, 0))
    assert same(epoch(inside, 3), epoch(outside, 3)), "with workers that live on"
    assert same(epoch(inside, 0), first)
    assert not same(epoch(inside, 1), first)
    other_seed = build_loader(data, 4, ShuffleSampler(23, seed=1), workers=0, seed=2)
    assert not same(epoch(other_seed, 0), first)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("train", [True, False])
def test_a_batch_has_the_images_of_the_data_set(root: Path, workers: int, train: bool) -> None:
    """Normalised whole, and without augmentation sent as bytes, it has not another number."""
    data = dataset(root, masked=True)
    config = PublishedTransforms(name="published", size=16)
    data = ImageDataset(data.table, build_transforms(config, (0.4,) * 3, (0.2,) * 3, train=train))
    loader = build_loader(data, 4, ShuffleSampler(23, seed=1), workers=workers, seed=1)
    loader.set_epoch(1)
    draws = [draw for batch in loader._batches for draw in batch]
    samples = [data[draw] for draw in draws]
    batches = epoch(loader, 1)
    assert torch.cat([batch.indices for batch in batches]).tolist() == [d.row for d in draws]
    assert torch.equal(
        torch.cat([batch.images for batch in batches]), torch.stack([s.image for s in samples])
    )
    assert torch.equal(
        torch.cat([batch.targets for batch in batches]), torch.stack([s.target for s in samples])
    )
    assert torch.equal(
        torch.cat([batch.known for batch in batches]), torch.stack([s.known for s in samples])
    )


def test_reduced_decoding_is_of_the_size_that_crops_need(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((640, 480)).save(tmp_path / "a.jpg")
    table = LabelTable.from_lists([1], ["a.jpg"], ["x"], [[0]], tmp_path)
    config = ModernTransforms(name="modern", size=64, color_jitter=0)
    transform = build_transforms(config, (0.5,) * 3, (0.5,) * 3, train=True)
    sizes = []
    transform.steps.insert(0, lambda image: sizes.append(tuple(image.shape[1:])) or image)
    for decoding in ("exact", "reduced"):
        image = ImageDataset(table, transform, decoding=decoding)[Draw(0, 3)].image
        assert image is not None
        assert image.shape == (3, 64, 64)
    assert sizes == [(480, 640), (120, 160)], "a quarter: 64 pixels need 105, half the area wide"


def test_loading_leaves_the_generator_of_the_model_alone(root: Path) -> None:
    loader = build_loader(dataset(root), 4, ShuffleSampler(23), workers=0)
    state = torch.get_rng_state()
    epoch(loader, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_epoch_goes_on_in_the_middle(root: Path) -> None:
    loader = build_loader(dataset(root), 4, ShuffleSampler(23), workers=0)
    whole = epoch(loader, 2)
    assert same(epoch(loader, 2, start_batch=2), whole[2:])
    assert epoch(loader, 2, start_batch=len(whole)) == []
    assert same(epoch(loader, 2), whole)


def test_an_image_drawn_twice_is_augmented_twice(root: Path) -> None:
    loader = build_loader(dataset(root), 8, WeightedSampler([1.0] + [0.0] * 22), workers=0)
    images = torch.cat([batch.images for batch in epoch(loader, 0)])
    assert len(images.flatten(1).unique(dim=0)) > 15


SHARES = pytest.mark.parametrize(
    ("number", "replicas"), [(1, 1), (9, 1), (10, 1), (8, 2), (9, 2), (3, 3), (10, 3), (23, 3)]
)


@SHARES
@pytest.mark.parametrize("batch_size", [1, 2, 4, 9])
def test_processes_share_each_batch(
    root: Path, number: int, batch_size: int, replicas: int
) -> None:
    """Its images in turn; a batch that is too small for it is everybody's, as a whole."""
    data = dataset(root, number)
    loaders = [
        build_loader(data, batch_size, ShuffleSampler(number, 0, replicas, rank), workers=0)
        for rank in range(replicas)
    ]
    whole = epoch(build_loader(data, batch_size, ShuffleSampler(number, 0), workers=0), 1)
    parts = [epoch(loader, 1) for loader in loaders]
    assert {len(part) for part in parts} == {len(whole)}
    for k, batch in enumerate(whole):
        is_shared = loaders[0].is_shared(k)
        for rank, part in enumerate(parts):
            mine = batch.indices[rank::replicas] if is_shared else batch.indices
            assert part[k].indices.tolist() == mine.tolist()
            if batch_size >= 2 * replicas and number > 1:
                assert len(mine) > 1, "batch norm cannot learn from one image"
        if len(batch.indices) >= 2 * replicas:
            assert is_shared


@SHARES
@pytest.mark.parametrize("batch_size", [1, 2, 4, 9])
def test_processes_evaluate_each_image_once(
    root: Path, number: int, batch_size: int, replicas: int
) -> None:
    data = dataset(root, number)
    parts = [
        epoch(build_loader(data, batch_size, SequentialSampler(number, replicas, rank), 0), 0)
        for rank in range(replicas)
    ]
    seen = Counter(image for part in parts for batch in part for image in batch.indices.tolist())
    assert seen == Counter(range(number))
    assert len({len(part) for part in parts}) == 1, "as many batches in every process"


def test_processes_augment_alike(root: Path) -> None:
    data = dataset(root)
    single = epoch(build_loader(data, 23, ShuffleSampler(23), workers=0), 1)[0]
    rank1 = epoch(build_loader(data, 23, ShuffleSampler(23, 0, 2, 1), workers=0), 1)[0]
    assert torch.equal(single.images[1::2], rank1.images)


def test_drop_last(root: Path) -> None:
    loader = build_loader(dataset(root), 5, ShuffleSampler(23), workers=0, drop_last=True)
    assert [len(batch.indices) for batch in epoch(loader, 0)] == [5] * 4


def test_a_bad_image_stops_with_its_path(root: Path) -> None:
    data = dataset(root, 30)
    for workers in (0, 1):
        message = ""
        # pytest.raises would keep the loader alive, and its workers' late end takes seconds.
        try:
            list(build_loader(data, 4, workers=workers))
        except DataError as error:
            message = str(error)
        assert "23.png is listed but does not exist" in message
        assert "Traceback" not in message


def test_bad_images_are_skipped_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Rows 23 to 29 are absent: one of the batch from 20 on is left out, and all of the last two.
    loader = build_loader(dataset(root, 30, "skip", masked=True), 4, workers=0)
    with caplog.at_level(logging.WARNING):
        batches = list(loader)
        assert [batch.indices.tolist() for batch in batches[5:]] == [[20, 21, 22], [], []]
        assert sorted(loader.problems) == list(range(23, 30))
        assert loader.skipped == 7
        assert len(list(loader)) == 8
    assert loader.skipped == 7, "counted once"
    assert len(caplog.records) == 7, "told once"
    empty = batches[-1]
    assert (empty.targets.shape, empty.known.shape) == ((0, 2), (0, 2))


@pytest.mark.slow
def test_works_where_processes_are_spawned(root: Path) -> None:
    """Windows and macOS pickle the data set into their workers."""
    data = dataset(root, 8)
    plain = epoch(build_loader(data, 4, ShuffleSampler(8), workers=0), 0)
    loader = build_loader(data, 4, ShuffleSampler(8), workers=1)
    loader._loader.multiprocessing_context = multiprocessing.get_context("spawn")
    assert same(epoch(loader, 0), plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"batch_size": 24, "drop_last": True}, "no full batch"),
    ],
)
def test_impossible_batches(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_loader(dataset(root), workers=0, **options)


def test_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in ((1, 0), (2, 1), (6, 5), (64, 8)):
        monkeypatch.setattr(
            loader_module.os, "sched_getaffinity", lambda _, n=cores: range(n), raising=False
        )
        assert default_workers(1000, 32) == expected
        assert default_workers(64, 32) == 0
    monkeypatch.delattr(loader_module.os, "sched_getaffinity")
    monkeypatch.setattr(loader_module.os, "cpu_count", lambda: 4)
    assert default_workers(1000, 32) == 3
