"""Long-tailed CIFAR: the published numbers of images, from every form of the data."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_files import BINARY, PYTHON, Cifar

from mlt.config.load import parse_data
from mlt.data.formats.zip_images import list_images
from mlt.data.labels import LabelTable
from mlt.data.one_label import exactly_one_label, true_classes
from mlt.data.row_images import row_image
from mlt.data.run_data import Data, load_data
from mlt.data.splits.build import build_imbalanced_split
from mlt.data.splits.imbalanced import class_sizes, select_class_sizes
from mlt.errors import ConfigError, DataError, MissingFileError


def load(root: Path, **values: Any) -> Data:
    """The data of a section; the made-up data has an imbalance of 4 at most."""
    return load_data(
        parse_data({"name": "cifar10_lt", "root": str(root), "imbalance": 4, **values})
    )


def pixels(table: LabelTable, row: int) -> np.ndarray:
    """An image as the archives lay it out."""
    return np.asarray(row_image(table, row)).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("num_classes", "imbalance", "profile", "total", "last"),
    [
        # Cui et al. 2019 and Cao et al. 2019.
        (10, 10, "exponential", 20_431, 500),
        (10, 100, "exponential", 12_406, 50),
        (100, 10, "exponential", 19_573, 50),
        (100, 100, "exponential", 10_847, 5),
        (10, 1, "exponential", 50_000, 5_000),
        (10, 200, "exponential", 11_203, 25),
        # 5 x 5,000 + 5 x 50; 50 x 500 + 50 x 50.
        (10, 100, "step", 25_250, 50),
        (100, 10, "step", 27_500, 50),
    ],
)
def test_published_numbers_of_images(
    num_classes: int, imbalance: float, profile: Any, total: int, last: int
) -> None:
    each = 50_000 // num_classes
    labels = [[c] for c in range(num_classes)] * each
    table = LabelTable.from_lists(
        range(len(labels)), map(str, range(len(labels))), map(str, range(num_classes)), labels
    )
    split = build_imbalanced_split(table, imbalance=imbalance, profile=profile)
    assert split.num_images == total
    assert split.class_counts[0] == each
    assert split.class_counts[-1] == last
    assert list(split.class_counts) == sorted(split.class_counts, reverse=True)


def test_imbalance_must_leave_an_image_of_each_class() -> None:
    assert class_sizes(500, 100, 500)[-1] == 1
    with pytest.raises(
        ConfigError, match=r"imbalance 501 leaves no image of the last class: .*500"
    ):
        class_sizes(500, 100, 501)
    with pytest.raises(ConfigError, match=r"1 or more, got 0\.1"):
        class_sizes(500, 100, 0.1)
    assert class_sizes(7, 1, 10).tolist() == [7]
    assert class_sizes(8, 3, 4, "step").tolist() == [8, 2, 2]


def test_the_draw_is_that_of_the_published_code() -> None:
    """The procedure of Cao et al. on NumPy's generator, class after class."""
    classes = np.random.default_rng(1).integers(0, 5, 400)
    sizes = np.array([60, 40, 20, 9, 3])
    random = np.random.RandomState(0)  # what np.random.seed(0) makes of the global generator
    expected = []
    for c in range(5):
        of_class = np.where(classes == c)[0]
        random.shuffle(of_class)
        expected += of_class[: sizes[c]].tolist()
    assert select_class_sizes(classes, sizes, 0).tolist() == sorted(expected)
    assert select_class_sizes(classes, sizes, 1).tolist() != sorted(expected)
    first = select_class_sizes(classes, sizes, None)
    for c in range(5):
        assert first[classes[first] == c].tolist() == np.where(classes == c)[0][: sizes[c]].tolist()


FORMS: dict[str, Callable[[Cifar, Path], Path]] = {
    "binary folder": lambda cifar, root: cifar.unpacked(root, BINARY).parent,
    "the binary folder itself": lambda cifar, root: cifar.unpacked(root, BINARY),
    "binary archive": lambda cifar, root: cifar.packed(root, BINARY).parent,
    "python folder": lambda cifar, root: cifar.unpacked(root, PYTHON).parent,
    "python archive": lambda cifar, root: cifar.packed(root, PYTHON).parent,
    "the python archive itself": lambda cifar, root: cifar.packed(root, PYTHON),
    "today's pickle": lambda cifar, root: cifar.unpacked(root, PYTHON, protocol=5).parent,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["cifar10_lt", "cifar100_lt"])
def test_official_archives(tmp_path: Path, name: str, form: str) -> None:
    cifar = Cifar(name)
    data = load(FORMS[form](cifar, tmp_path / "data"), name=name, seed=None)
    assert data.train.class_names == data.test.class_names == cifar.class_names
    assert exactly_one_label(data.train) and exactly_one_label(data.test)
    # All test images, and the first of each class of the training images, as in the archive.
    assert true_classes(data.test).tolist() == cifar.classes["test"].tolist()
    sizes = class_sizes(4, len(cifar.class_names), 4)
    rows = select_class_sizes(cifar.classes["train"], sizes, None)
    assert true_classes(data.train).tolist() == cifar.classes["train"][rows].tolist()
    for row in (0, len(rows) - 1):
        assert (pixels(data.train, row) == cifar.pixels["train"][rows[row]]).all()
    assert (pixels(data.test, 3) == cifar.pixels["test"][3]).all()
    assert "images read, but the published data has 50,000" in "\n".join(data.notes)
    assert not any("images too" in note for note in data.notes)  # shared by train and test


@pytest.mark.parametrize("place", ["folders", "zip", "zip of a folder", "the zip itself", "stored"])
def test_class_folders(tmp_path: Path, place: str) -> None:
    cifar = Cifar("cifar10_lt")
    root = {
        "folders": lambda: cifar.folders(tmp_path / "data"),
        "zip": lambda: cifar.zipped(tmp_path / "data").parent,
        "zip of a folder": lambda: cifar.zipped(tmp_path / "data", inside="cifar10/").parent,
        "the zip itself": lambda: cifar.zipped(tmp_path / "data"),
        "stored": lambda: cifar.zipped(tmp_path / "data", zipfile.ZIP_STORED),
    }[place]()
    data = load(root, seed=None)
    assert data.train.class_names == cifar.class_names
    assert data.train.class_counts().counts.tolist() == class_sizes(4, 10, 4).tolist()
    assert len(data.test) == 20
    for table, part in ((data.train, "train"), (data.test, "test")):
        for row in range(0, len(table), 7):
            number = int(table.image_path(row).stem)
            assert (pixels(table, row) == cifar.pixels[part][number]).all()
            assert true_classes(table)[row] == cifar.classes[part][number]
    assert not any("images too" in note for note in data.notes)


def test_the_same_image_in_two_classes_is_two_images(tmp_path: Path) -> None:
    """As in CIFAR itself: each has the one label of its folder."""
    folders = Cifar("cifar10_lt").folders(tmp_path)
    for path, class_name in (("a.png", "cat"), ("b.png", "dog")):
        (folders / "test" / class_name / path).write_bytes(
            (next((folders / "train/bird").iterdir())).read_bytes()
        )
    data = load(folders)
    assert len(data.test) == 22 and exactly_one_label(data.test)


def test_folders_of_numbers_are_in_their_order(tmp_path: Path) -> None:
    cifar = Cifar("cifar100_lt", per_class=2)
    cifar.class_names = tuple(map(str, range(100)))
    data = load(cifar.folders(tmp_path), name="cifar100_lt", imbalance=2)
    assert data.train.class_names == cifar.class_names
    assert data.train.class_counts().counts.tolist() == [2] + [1] * 99


def test_validation_is_cut_out_before_the_long_tail(tmp_path: Path) -> None:
    root = Cifar("cifar10_lt", per_class=20).packed(tmp_path, BINARY).parent
    data = load(root, validation={"fraction": 0.2})
    assert data.validation is not None
    assert data.validation.class_counts().counts.tolist() == [4] * 10
    assert data.train.class_counts().counts.tolist() == class_sizes(16, 10, 4).tolist()
    assert {*data.train.image_ids}.isdisjoint({*data.validation.image_ids})
    assert {*data.train.image_ids, *data.validation.image_ids} < {
        f"train/{n:05}" for n in range(200)
    }
    assert len(data.test) == 100
    assert any("is cut out of 160 images" in note for note in data.notes)


def test_whether_the_split_is_the_published_one() -> None:
    labels = [[c] for c in range(10)] * 10
    table = LabelTable.from_lists(range(100), map(str, range(100)), "abcdefghij", labels)
    published = [10] * 10

    def mismatches(**values: Any) -> tuple[str, ...]:
        split = build_imbalanced_split(table, "x", imbalance=10, published=published, **values)
        assert split.matches_published is not bool(split.mismatches)
        return split.mismatches

    assert mismatches() == mismatches(profile="step") == ()
    assert "the seed of the draw is None" in mismatches(seed=None)[0]
    assert "the seed of the draw is 3" in mismatches(seed=3)[0]
    assert "order of the images" in mismatches(published_order=False)[0]
    smaller = build_imbalanced_split(table.take(range(90)), "x", imbalance=9, published=published)
    assert "out of 90 images, but the published split out of 100" in smaller.mismatches[0]
    assert build_imbalanced_split(table, "x").matches_published is None


def test_workers_read_the_same_images(tmp_path: Path) -> None:
    """A process that is spawned is not given the pixels; it reads the archive itself."""
    cifar = Cifar("cifar10_lt")
    for root in (
        cifar.packed(tmp_path / "a", BINARY),
        cifar.zipped(tmp_path / "b"),
    ):
        table = load(root).train
        copied = pickle.loads(pickle.dumps(table.images))  # noqa: S301
        assert table.paths is not None and table.images is not None and copied is not None
        for path in list(table.paths)[:3]:
            first, second = (images.read(path) for images in (table.images, copied))
            assert first == second
    assert len(pickle.dumps(load(tmp_path / "a").train.images)) < 2000


def test_nothing_there_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"(?s)there is no cifar-10-binary.tar.gz, .*kriz"):
        load(tmp_path)
    with pytest.raises(MissingFileError, match=r"(?s)there is no cifar-100-binary.tar.gz, "):
        load(tmp_path, name="cifar100_lt")
    with pytest.raises(MissingFileError, match="nowhere"):
        load(tmp_path / "nowhere.zip")


def test_incomplete_archives_are_refused(tmp_path: Path) -> None:
    folder = Cifar("cifar10_lt").unpacked(tmp_path, BINARY)
    whole = (folder / "data_batch_2.bin").read_bytes()
    (folder / "data_batch_2.bin").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"data_batch_2.bin has 24,583 bytes, .* 3,073 bytes each"):
        load(tmp_path)
    (folder / "data_batch_2.bin").write_bytes(b"\x0b" + whole[1:])
    with pytest.raises(DataError, match="the class number 11, but there are 10 classes"):
        load(tmp_path)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(MissingFileError, match=r"has no data_batch_2.bin. Is it complete\?"):
        load(tmp_path)


def test_damaged_packed_archives_are_refused(tmp_path: Path) -> None:
    file = Cifar("cifar10_lt").packed(tmp_path, PYTHON)
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"no archive", content[:5000] + content[5004:]):
        file.write_bytes(damaged)
        with pytest.raises((DataError, MissingFileError), match=r"cifar-10-python\.tar\.gz"):
            load(tmp_path)


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        ({b"labels": [0]}, "has no 'data'; it has labels"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "has no 'labels'"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]}, "1 images but 2 labels"),
        ({b"data": np.zeros((1, 3072)), b"labels": [0]}, "8-bit pixels"),
        ({b"data": np.zeros((1, 9), np.uint8), b"labels": [0]}, "9 values, expected 3 x 32 x 32"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["0"]}, "not a list of class numbers"),
        ([1], "a pickled list, not a dictionary"),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, batch: Any, complaint: str) -> None:
    folder = Cifar("cifar10_lt").unpacked(tmp_path, PYTHON)
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch))
    with pytest.raises(DataError, match=complaint):
        load(tmp_path)


def test_real_images_in_a_zip_file(shared: Path) -> None:
    data = load(shared / "data", imbalance=10)
    assert (len(data.train), len(data.test)) == (20_431, 10_000)
    notes = "\n".join(data.notes)
    assert "training: 50,000 images read, as published" in notes
    assert "test: 10,000 images read, as published" in notes
    assert "order of the images in the official archive" in notes
    assert pixels(data.train, 20_430).shape == (3, 32, 32)


def test_a_member_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(5_000_000))
    content = file.read_bytes()
    size = (5_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    for said in (0, 17):
        file.write_bytes(content.replace(size, said.to_bytes(4, "little")))
        images = list_images(file)
        with pytest.raises(DataError, match=r"a/1\.png in .* is damaged"):
            images.read("a/1.png")
