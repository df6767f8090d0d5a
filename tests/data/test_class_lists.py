"""ImageNet-LT, Places-LT and iNaturalist, on made-up files of their exact formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from one_label_files import (
    IMAGENET,
    write_imagenet_lt,
    write_inaturalist,
    write_list,
    write_places_lt,
)

from mlt.config.load import parse_data
from mlt.data.formats.class_list import names_of_numbers, read_class_list
from mlt.data.labels import LabelTable
from mlt.data.one_label import exactly_one_label, true_classes
from mlt.data.run_data import Data, load_data
from mlt.errors import ConfigError, DataError, MissingFileError


def load(name: str, root: Path, cache: Path | None = None, **values: Any) -> Data:
    return load_data(parse_data({"name": name, "root": str(root), **values}), cache)


def classes(table: LabelTable) -> list[str]:
    return [table.class_names[c] for c in true_classes(table)]


def test_imagenet_lt(tmp_path: Path) -> None:
    data = load("imagenet_lt", write_imagenet_lt(tmp_path))
    assert data.train.class_names == data.test.class_names == IMAGENET
    assert data.train.class_counts().counts.tolist() == [4, 2, 1]
    assert classes(data.test) == [IMAGENET[c] for c in (2, 0, 2)]
    assert data.validation is not None and classes(data.validation) == [*IMAGENET]
    for part in (data.train, data.validation, data.test):
        assert exactly_one_label(part)
    notes = "\n".join(data.notes)
    assert "7 images read, but the published data has 115,846" in notes
    assert "validation: 3 images read, but the published data has 20,000" in notes
    assert "3 classes, but the published data has 1,000" in notes


def test_names_of_classes_may_be_given(tmp_path: Path) -> None:
    write_imagenet_lt(tmp_path)
    (tmp_path / "names.txt").write_text("crane\ngoldfish\ncrane\n")
    data = load("imagenet_lt", tmp_path, class_labels="names.txt")
    assert data.train.class_names == ("crane (0)", "goldfish", "crane (2)")
    assert classes(data.test) == ["crane (2)", "crane (0)", "crane (2)"]
    (tmp_path / "names.txt").write_text("crane\ngoldfish\n")
    with pytest.raises(DataError, match=r"is of class 2, but there are 2 classes, 0 to 1"):
        load("imagenet_lt", tmp_path, class_labels="names.txt")


def test_classes_may_be_chosen(tmp_path: Path) -> None:
    """The numbers of the test list mean what they mean in the training list."""
    chosen = [IMAGENET[2], IMAGENET[0]]
    data = load("imagenet_lt", write_imagenet_lt(tmp_path), class_names=chosen)
    assert data.test.class_names == tuple(chosen)
    assert classes(data.test) == [IMAGENET[2], IMAGENET[0], IMAGENET[2]]


def test_validation_may_be_cut_out(tmp_path: Path) -> None:
    names = [f"train/c/{n}.jpg" for n in range(10)] + [f"train/d/{n}.jpg" for n in range(10)]
    write_list(tmp_path / "ImageNet_LT_train.txt", names, [0] * 10 + [1] * 10)
    write_list(tmp_path / "ImageNet_LT_test.txt", ["val/1.jpg"], [1])
    data = load("imagenet_lt", tmp_path, validation={"fraction": 0.2})
    assert data.validation is not None
    assert data.validation.class_counts().counts.tolist() == [2, 2]
    assert data.train.class_counts().counts.tolist() == [8, 8]


def test_images_in_another_folder(tmp_path: Path) -> None:
    write_imagenet_lt(tmp_path / "ILSVRC/Data")
    for file in (tmp_path / "ILSVRC/Data").glob("*.txt"):
        file.rename(tmp_path / file.name)
    with pytest.raises(MissingFileError, match=r"7 of 7 training images are listed .* but absent"):
        load("imagenet_lt", tmp_path)
    data = load("imagenet_lt", tmp_path, images="ILSVRC/Data")
    assert data.train.image_path(0).is_file()


def test_places_lt(tmp_path: Path) -> None:
    data = load("places_lt", write_places_lt(tmp_path))
    assert data.train.class_names == ("a/apartment_building/outdoor", "h/hangar/outdoor",
                                      "z/zen_garden")  # fmt: skip
    assert classes(data.test) == ["z/zen_garden"]
    assert "published data has 62,500" in "\n".join(data.notes)


@pytest.mark.parametrize(("year", "images"), [(2017, "579,184"), (2018, "437,513")])
def test_inaturalist(tmp_path: Path, year: int, images: str) -> None:
    data = load(f"inat{year}", write_inaturalist(tmp_path, year))
    assert classes(data.train) == ["Abies alba", "Acer rubrum"] * 2
    assert classes(data.test) == ["Abies alba", "Acer rubrum"]
    assert exactly_one_label(data.train) and exactly_one_label(data.test)
    assert f"published data has {images}" in "\n".join(data.notes)


def test_inaturalist_lists(tmp_path: Path) -> None:
    train = ["train_val2018/Plantae/7477/a.jpg", "train_val2018/Plantae/5604/b.jpg"]
    write_list(tmp_path / "iNaturalist18_train.txt", train, [1, 0])
    write_list(tmp_path / "iNaturalist18_val.txt", ["train_val2018/Plantae/7477/c.jpg"], [1])
    lists = {"train": "iNaturalist18_train.txt", "test": "iNaturalist18_val.txt"}
    data = load("inat2018", tmp_path, **lists)
    assert data.train.class_names == ("Plantae/5604", "Plantae/7477")
    assert classes(data.test) == ["Plantae/7477"]


def test_what_is_not_there_is_asked_for(tmp_path: Path) -> None:
    for name, file in {
        "imagenet_lt": "ImageNet_LT_train.txt",
        "places_lt": "Places_LT_train.txt",
        "inat2017": "train2017.json",
        "inat2018": "train2018.json",
    }.items():
        with pytest.raises(MissingFileError, match=f"(?s)there is no {file} in .*https?://"):
            load(name, tmp_path)


def test_the_cache_notices_other_names(tmp_path: Path) -> None:
    write_imagenet_lt(tmp_path / "data")
    cache = tmp_path / "cache"
    for _ in range(2):
        assert load("imagenet_lt", tmp_path / "data", cache).train.class_names == IMAGENET
    (tmp_path / "data/names.txt").write_text("a\nb\nc\n")
    data = load("imagenet_lt", tmp_path / "data", cache, class_labels="names.txt")
    assert data.train.class_names == data.test.class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("train/x/1.jpg 0\ntrain/y/2.jpg 1\n", ("x", "y")),
        # A folder of two classes, a class in two folders, a class without an image, no folder.
        ("train/x/1.jpg 0\ntrain/x/2.jpg 1\n", ("0", "1")),
        ("train/x/1.jpg 0\ntrain/y/2.jpg 0\n", ("0",)),
        ("train/x/1.jpg 0\ntrain/y/2.jpg 2\n", ("0", "1", "2")),
        ("1.jpg 0\n2.jpg 1\n", ("0", "1")),
    ],
)
def test_names_of_class_numbers(tmp_path: Path, content: str, names: tuple[str, ...]) -> None:
    (tmp_path / "list.txt").write_text(content)
    assert names_of_numbers(tmp_path / "list.txt") == names


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a.jpg 0\nb.jpg\n", r"line 2: expected an image and the number of its class, .*'b\.jpg'"),
        ("a.jpg cat\n", "line 1"),
        ("a.jpg -1\n", "line 1"),
        ("a.jpg 99999999999\n", "line 1"),
        pytest.param(f"a.jpg {'9' * 5000}\n", "line 1", id="5,000 digits"),
        ("\n\n", "lists no image"),
        ("a.jpg 2\n", "'a.jpg' is of class 2, but there are 2 classes"),
        ("a.jpg 0\na.jpg 1\n", "more than once"),
    ],
)
def test_lists_that_are_not_right_are_refused(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(DataError, match=rf"list\.txt.*{complaint}"):
        read_class_list(tmp_path / "list.txt", tmp_path, ["x", "y"])


def test_only_lists_have_names_for_numbers(tmp_path: Path) -> None:
    write_inaturalist(tmp_path, 2018)
    with pytest.raises(ConfigError, match="class_labels"):
        load("inat2018", tmp_path, class_labels="names.txt")
