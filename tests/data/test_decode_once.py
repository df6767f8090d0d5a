"""Images that are decoded once: the very pixels of decoding them again, or none."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from mlt.data import decode_once
from mlt.data.dataset import Draw, ImageDataset
from mlt.data.decode_once import (
    decode_rows,
    estimated_size,
    image_keys,
    keys_for,
    preparation_digest,
)
from mlt.data.decoded.images import DecodedImages
from mlt.data.decoded.stores import FolderStore, MemoryStore, Store
from mlt.data.labels import LabelTable
from mlt.data.loader import build_loader
from mlt.data.transform_settings import ModernTransforms, PublishedTransforms
from mlt.data.transforms import Preprocessing, build_transforms, eval_transform
from mlt.errors import ConfigError

MEAN = STD = (0.5,) * 3
TRAINING = build_transforms(PublishedTransforms(name="published", size=16), MEAN, STD, train=True)
EVALUATION = eval_transform(Preprocessing(16, MEAN, STD))
LIMIT = 10**9


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    """JPEG files of several sizes, which torchvision decodes, PNG, and one that is damaged."""
    rng = np.random.default_rng(0)
    names = [*(f"{k}.jpg" for k in range(6)), "6.png", "7.png"]
    for k, name in enumerate(names[:7]):
        pixels = rng.integers(0, 256, (20 + 3 * k, 40 - 2 * k, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "7.png").write_bytes(b"\x89PNG")
    return LabelTable.from_lists(range(8), names, ["a"], [[0]] * 8, tmp_path)


@pytest.fixture(params=["ram", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "ram":
        return MemoryStore(LIMIT)
    return FolderStore(tmp_path / "images" / "these", LIMIT)


def decoded(dataset: ImageDataset, store: Store, workers: int = 0) -> DecodedImages:
    keys = keys_for(store, dataset.table)
    missing = DecodedImages(store.paths(), keys, store.checks).missing & (keys != b"")
    decode_rows(dataset, np.flatnonzero(missing).tolist(), keys, store, workers=workers)
    return DecodedImages(store.paths(), keys, store.checks, keeps=store)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("transform", [TRAINING, EVALUATION], ids=["training", "evaluation"])
def test_samples_are_those_of_the_files_to_the_bit(
    table: LabelTable, store: Store, transform: object, workers: int
) -> None:
    files = ImageDataset(table, transform, "skip")
    kept = ImageDataset(table, transform, "skip")
    kept.decoded = decoded(kept, store, workers)
    assert kept.decoded.missing.tolist() == [False] * 7 + [True]
    for path in Path(table.root).glob("*.[jp][pn]g"):
        if path.name != "7.png":
            path.write_bytes(b"gone")  # what is decoded once needs no file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "prepare", lambda row: pytest.fail(f"decoded row {row} again"))
        samples = [kept[Draw(row, 1000 + row)] for row in range(7)]
    for row, name in enumerate(table.paths[:7]):
        assert (Path(table.root) / name).read_bytes() == b"gone"
        assert samples[row].image is not None
    assert kept[7].problem is not None
    assert kept[7].problem == files[7].problem


@pytest.mark.parametrize("transform", [TRAINING, EVALUATION], ids=["training", "evaluation"])
def test_batches_do_not_change(table: LabelTable, store: Store, transform: object) -> None:
    expected = list(build_loader(ImageDataset(table, transform, "skip"), 4, workers=0))
    dataset = ImageDataset(table, transform, "skip")
    dataset.decoded = decoded(dataset, store)
    for workers in (0, 1):
        for batch, other in zip(build_loader(dataset, 4, workers=workers), expected, strict=True):
            assert torch.equal(batch.images, other.images)
            assert batch.images.stride() == other.images.stride()


def test_how_pixels_lie_in_memory_is_kept(table: LabelTable, store: Store) -> None:
    dataset = ImageDataset(table, TRAINING)
    kept = decoded(dataset, store)
    for row in range(7):
        pixels = kept.get(row)
        assert torch.equal(pixels, dataset.prepare(row))
        assert pixels.stride() == dataset.prepare(row).stride()
        pixels.zero_()  # a copy: the next one is not changed by it
        assert torch.equal(kept.get(row), dataset.prepare(row))


def test_what_has_no_room_is_read_from_its_file(table: LabelTable) -> None:
    dataset = ImageDataset(table, TRAINING, "skip")
    sizes = [dataset.prepare(row).nbytes for row in range(7)]
    dataset.decoded = decoded(dataset, MemoryStore(sum(sizes[:3]) + sizes[3] - 1))
    assert dataset.decoded.missing.tolist() == [False] * 3 + [True] * 5
    assert dataset[Draw(5, 1)].image is not None


def test_several_blocks(table: LabelTable, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ImageDataset(table, TRAINING)
    monkeypatch.setattr(decode_once, "BLOCK_SIZE", 2 * dataset.prepare(0).nbytes)
    kept = decoded(dataset, store)
    assert len(store.paths()) > 3
    for row in range(7):
        assert torch.equal(kept.get(row), dataset.prepare(row))


def read_elsewhere(kept: DecodedImages, row: int) -> list[int]:
    return kept.get(row).flatten().tolist()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_them(table: LabelTable, store: Store, method: str) -> None:
    dataset = ImageDataset(table, TRAINING)
    kept = decoded(dataset, store)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(read_elsewhere, (kept, 4)) == dataset.prepare(4).flatten().tolist()


def test_memory_goes_with_its_owner(table: LabelTable) -> None:
    if not hasattr(os, "memfd_create"):
        pytest.skip("memory without a file is Linux's")
    kept = decoded(ImageDataset(table, TRAINING), MemoryStore(LIMIT))
    [path] = kept.paths
    assert path.exists()
    del kept
    assert not path.exists()


def test_without_nameless_memory_it_is_a_temporary_file(
    table: LabelTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    dataset = ImageDataset(table, TRAINING)
    kept = decoded(dataset, MemoryStore(LIMIT))
    [path] = kept.paths
    assert torch.equal(kept.get(1), dataset.prepare(1))
    del kept
    assert not path.exists()


def test_several_writers_share_the_room(table: LabelTable) -> None:
    dataset = ImageDataset(table, TRAINING)
    size = sum(dataset.prepare(row).nbytes for row in range(7))
    store = MemoryStore(size)
    keys = keys_for(store, table)
    decode_rows(dataset, range(7), keys, store, writers=2)
    assert 0 < sum(path.stat().st_size for path in store.paths()) < size / 2 + 2000


# --- files


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "images" / "these", LIMIT)


def test_the_next_run_decodes_nothing(
    table: LabelTable, folder: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = ImageDataset(table.take(list(range(7))), TRAINING)
    decoded(dataset, folder)
    monkeypatch.setattr(dataset, "prepare", lambda row: pytest.fail(f"decoded row {row} again"))
    kept = decoded(dataset, folder)
    assert not kept.missing.any()
    shuffled = ImageDataset(table.take([5, 2]), TRAINING)
    assert torch.equal(decoded(shuffled, folder).get(0), kept.get(5))


def test_a_changed_file_is_decoded_again(table: LabelTable, folder: FolderStore) -> None:
    dataset = ImageDataset(table, TRAINING)
    decoded(dataset, folder)
    Image.new("RGB", (9, 9), "red").save(Path(table.root) / "2.jpg")
    assert torch.equal(decoded(dataset, folder).get(2), dataset.prepare(2))


@pytest.mark.parametrize("place", [0, 100, 400, 3000, -400, -30])
def test_a_flipped_byte_gives_no_other_pixel(
    table: LabelTable, folder: FolderStore, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = ImageDataset(table, TRAINING, "skip")
    decoded(dataset, folder)
    [path] = folder.paths()
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
    dataset.decoded = DecodedImages([path], image_keys(table), check=True)
    for row in range(7):
        pixels = dataset.decoded.get(row)
        assert pixels is None or torch.equal(pixels, dataset.prepare(row))
        image = ImageDataset(table, TRAINING)[Draw(row, 5)].image
        assert torch.equal(dataset[Draw(row, 5)].image, image)
    noticed = bool(dataset.decoded.missing[:7].any())
    assert noticed == ("damaged" in caplog.text)


@pytest.mark.parametrize("length", [0, 10, 1000, -20])
def test_a_torn_file_is_dropped(
    table: LabelTable, folder: FolderStore, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = ImageDataset(table, TRAINING)
    decoded(dataset, folder)
    [path] = folder.paths()
    path.write_bytes(path.read_bytes()[:length])
    kept = decoded(dataset, folder)
    assert "damaged" in caplog.text
    assert torch.equal(kept.get(3), dataset.prepare(3))


def test_a_full_disk_is_said_once(
    table: LabelTable,
    folder: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlt.data.decoded.stores.write_block", full)
    monkeypatch.setattr(decode_once, "BLOCK_SIZE", 1)
    dataset = ImageDataset(table, TRAINING, "skip")
    dataset.decoded = decoded(dataset, folder)
    assert dataset.decoded.missing.all()
    assert dataset[0].image is not None
    [record] = caplog.records
    assert "No space left on device" in record.message
    assert not list(folder.folder.iterdir())


def test_files_of_other_preparations_make_room(table: LabelTable, tmp_path: Path) -> None:
    dataset = ImageDataset(table, TRAINING)
    size = sum(dataset.prepare(row).nbytes for row in range(7))
    old = FolderStore(tmp_path / "images" / "old", LIMIT)
    decoded(dataset, old)
    new = FolderStore(tmp_path / "images" / "new", size + 2000)
    decoded(dataset, new)
    assert (len(new.paths()), old.paths()) == (1, [])


def test_the_digest_says_what_was_done_to_the_pixels(table: LabelTable) -> None:
    def digest(train: bool = False, decoding: str = "exact", **keys: object) -> str:
        config = ModernTransforms(name="modern", **{"size": 16, **keys})
        transform = build_transforms(config, MEAN, STD, train)
        return preparation_digest(ImageDataset(table, transform, decoding=decoding))

    assert digest() == digest(flip=0.0)
    assert digest(train=True) == digest(train=True, size=32, flip=0.0)  # whole, whatever follows
    ways = [
        digest(),
        digest(size=32),
        digest(resize="pad"),
        digest(resize="crop"),
        digest(interpolation="bicubic"),
        digest(train=True),
        digest(train=True, decoding="reduced"),
        digest(train=True, decoding="reduced", size=32),
    ]
    assert len(set(ways)) == len(ways)


def test_the_size_is_estimated(table: LabelTable) -> None:
    dataset = ImageDataset(table.take(list(range(7))), TRAINING)
    assert estimated_size(dataset) == sum(dataset.prepare(row).nbytes for row in range(7))
    assert estimated_size(ImageDataset(table, EVALUATION), 3) == 8 * 3 * 16 * 16
    assert estimated_size(ImageDataset(table.take([7]), EVALUATION)) == 0


def test_a_transform_of_ones_own_is_refused(table: LabelTable) -> None:
    with pytest.raises(ConfigError, match="the transform is a Identity"):
        decode_once.decode_once(ImageDataset(table, v2.Identity()))


def test_in_a_loop_of_ones_own(table: LabelTable, tmp_path: Path) -> None:
    for folder in (None, tmp_path / "kept", tmp_path / "kept"):
        dataset = ImageDataset(table, EVALUATION, "skip")
        decode_once.decode_once(dataset, folder)
        assert dataset.decoded.missing.tolist() == [False] * 7 + [True]
