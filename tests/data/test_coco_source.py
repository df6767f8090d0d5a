"""`data: {name: coco}` with the few lines that a user writes, on layouts as they are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mlt.data.labels import LabelTable
from mlt.data.run_data import Data, load_data
from mlt.data.settings import DataConfig
from mlt.errors import DataError, MissingFileError


def load(root: Path, train: Any, test: Any, **more: Any) -> Data:
    values = {"name": "coco", "root": str(root), "train": train, "test": test, **more}
    return load_data(TypeAdapter(DataConfig).validate_python(values))


def write(
    root: Path,
    file: str,
    images: dict[str, list[str]],
    names: str = "abc",
    folder: str | None = None,
    **fields: Any,
) -> None:
    """An annotation file of these images and their classes; the images too if given a folder."""
    ids = {name: i for i, name in enumerate(names)}
    annotations = [
        {"image_id": i, "category_id": ids[name], "bbox": [0, 0, 9, 9], "area": 81}
        for i, labels in enumerate(images.values())
        for name in labels
    ]
    listed = [{"id": i, "file_name": name, **fields} for i, name in enumerate(images)]
    content = {
        "images": [{k: v for k, v in image.items() if v is not None} for image in listed],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for name, i in ids.items()],
    }
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(content))
    for name in images if folder is not None else ():
        touch(root / (folder or ".") / name)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name)


def labels(table: LabelTable) -> list[str]:
    return [
        "".join(table.class_names[c] for c in table.labels[[i]].indices) for i in range(len(table))
    ]


def files(table: LabelTable) -> list[str]:
    return [str(table.image_path(row)) for row in range(len(table))]


TRAIN = {"1.jpg": ["a"], "2.jpg": ["b", "c"]}
TEST = {"3.jpg": ["c"], "4.jpg": ["a", "b"]}


@pytest.mark.parametrize(
    ("file", "folder", "part"),
    [
        ("train/_annotations.coco.json", "train", "train/_annotations.coco.json"),  # Roboflow
        ("train.json", "", "train.json"),
        ("train.json", "photos", "train.json"),
        ("annotations/train.json", "train2017", "annotations/train.json"),
        ("annotations/train.json", "x/y", {"annotations": "annotations/train.json"}),
        ("train.json", "x/y", {"annotations": "train.json", "images": "x"}),
        ("train.json", "x/y", {"annotations": "train.json", "images": "x/*"}),
        ("train.json", "x/y", {"annotations": "train.json", "images": ["z", "x/y"]}),
    ],
)
def test_where_the_images_may_be(tmp_path: Path, file: str, folder: str, part: Any) -> None:
    write(tmp_path, file, TRAIN, folder=folder)
    write(tmp_path, "other/test.json", TEST, folder="other")
    data = load(tmp_path, part, {"annotations": "other/test.json", "images": "other"})
    assert files(data.train) == [str(tmp_path / folder / name) for name in TRAIN]
    assert labels(data.train) == ["a", "bc"] and labels(data.test) == ["c", "ab"]
    assert data.notes == ()


@pytest.mark.parametrize(
    "name",
    [
        "{}.jpg",
        "images/{}.jpg",  # CVAT, Label Studio
        "../../media/upload/7/{}.jpg",
        "..\\..\\media\\upload\\7\\{}.jpg",  # Label Studio on Windows
        "C:\\Users\\me\\photos\\{}.jpg",
        "/home/me/photos/{}.jpg",
        "http://localhost:8080/data/upload/7/{}.jpg",
        "s3://bucket/photos/{}.jpg",
        "{}",
    ],
)
@pytest.mark.parametrize("images", ["images", None])
def test_names_as_tools_write_them(tmp_path: Path, name: str, images: str | None) -> None:
    train = {name.format(n): ["a"] for n in (1, 2)}
    write(tmp_path, "result.json", train)
    write(tmp_path, "test.json", {name.format(3): ["b"]})
    for n in (1, 2, 3):
        touch(tmp_path / "images" / f"{n}.jpg")
    parts = ({"annotations": f, "images": images} for f in ("result.json", "test.json"))
    data = load(tmp_path, *parts)
    found = [Path(f).resolve() for f in files(data.train)]
    assert found == [tmp_path / "images" / f"{n}.jpg" for n in (1, 2)]


@pytest.mark.parametrize("images", ["train2017", ".", None])
def test_lvis_names_images_by_their_address(tmp_path: Path, images: str | None) -> None:
    for file, numbers in (("train.json", (1, 2)), ("val.json", (3,))):
        write(tmp_path, file, {f"{n}.jpg": ["a"] for n in numbers}, neg_category_ids=[2])
        content = json.loads((tmp_path / file).read_text())
        for image in content["images"]:  # the validation images of LVIS are of both folders
            name = image.pop("file_name")
            image["coco_url"] = f"http://images.cocodataset.org/train2017/{name}"
            touch(tmp_path / "train2017" / name)
        (tmp_path / file).write_text(json.dumps(content))
    data = load(
        tmp_path,
        {"annotations": "train.json", "images": images},
        {"annotations": "val.json", "images": images and "val2017"},
    )
    assert files(data.test) == [str(tmp_path / "train2017" / "3.jpg")]
    assert data.test.known_mask([0]).tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("names", "known", "note"),
    [
        ("abc", [True, True, True], None),
        ("cab", [True, True, True], None),
        ("ba", [True, True, False], "test: 1 class is not in the data, so nothing is known: 'c'"),
        ("dbca", [True, True, True], "test: 1 class is not in training and left out: 'd'"),
    ],
)
def test_parts_are_aligned_by_class_name(
    tmp_path: Path, names: str, known: list[bool], note: str | None
) -> None:
    write(tmp_path, "train.json", TRAIN, folder="")
    write(tmp_path, "test.json", {"3.jpg": ["b"], "4.jpg": ["a"]}, names, folder="")
    data = load(tmp_path, "train.json", "test.json")
    assert data.test.class_names == data.train.class_names == ("a", "b", "c")
    assert labels(data.test) == ["b", "a"]
    assert data.test.known_mask([0]).tolist() == [known]
    assert [n.startswith(note or "") for n in data.notes] == ([True] if note else [])


def test_class_names_choose_and_order(tmp_path: Path) -> None:
    for file, images in (("train.json", TRAIN), ("test.json", TEST)):
        write(tmp_path, file, images, folder="", width=20, height=20)
    parts = "train.json", "test.json"
    data = load(tmp_path, *parts, class_names=["c", "a"], min_image_size=20)
    assert data.train.class_names == ("c", "a")
    assert labels(data.train) == ["a", "c"] and labels(data.test) == ["c", "a"]
    assert [note.split(" (")[0] for note in data.notes] == [
        "training: 1 class is not in class_names and left out: 'b'",
        "test: 1 class is not in class_names and left out: 'b'",
    ]
    with pytest.raises(DataError, match="empty: no image"):
        load(tmp_path, *parts, min_image_size=21)
    with pytest.raises(DataError, match="none of the classes of class_names is in the data"):
        load(tmp_path, *parts, class_names=["d"])


def test_one_image_under_two_names(tmp_path: Path) -> None:
    write(tmp_path, "train.json", {**TRAIN, "./1.jpg": ["a"]}, folder="")
    write(tmp_path, "test.json", {**TEST, "x/../2.jpg": ["b"]}, folder="")
    data = load(tmp_path, "train.json", "test.json")
    assert labels(data.train) == ["a", "bc"]
    assert data.notes == (
        "training: 1 image is left out, the file being listed already: './1.jpg' is '1.jpg'",
        "warning: 1 of 3 test images are training images too; results on them look better than "
        "they are",
    )
    write(tmp_path, "train.json", {**TRAIN, "./1.jpg": ["b"]}, folder="")
    with pytest.raises(DataError, match="listed twice with other labels"):
        load(tmp_path, "train.json", "test.json")


def test_one_name_in_two_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train.json", TRAIN, folder="x")
    write(tmp_path, "test.json", TEST, folder="y")
    (tmp_path / "y/1.jpg").write_text("another picture")
    with pytest.raises(DataError, match=r"'1\.jpg' may be .* or say with `images`"):
        load(tmp_path, "train.json", "test.json")
    data = load(tmp_path, {"annotations": "train.json", "images": "x"}, "test.json")
    assert files(data.train)[0] == str(tmp_path / "x/1.jpg")


def test_absent_images_are_counted_and_what_may_be_meant_is_said(tmp_path: Path) -> None:
    write(tmp_path, "train.json", TRAIN, folder="x")
    write(tmp_path, "test.json", {"3.jpg": []}, folder="x")
    (tmp_path / "x/1.jpg").rename(tmp_path / "x/1.JPG")
    with pytest.raises(MissingFileError, match=r"1 of 2 training .*x/1\.jpg; there is '1\.JPG'"):
        load(tmp_path, {"annotations": "train.json", "images": "x"}, "test.json")


def test_the_paths_of_a_folder_that_has_all_images_stay(tmp_path: Path) -> None:
    write(tmp_path, "train.json", TRAIN, folder="x")
    data = load(tmp_path, *2 * [{"annotations": "train.json", "images": "x"}])
    assert list(data.train.paths or ()) == list(TRAIN) and data.train.root == tmp_path / "x"


def test_a_part_that_is_no_part() -> None:
    for part in ({"images": "x"}, {"annotations": "a.json", "folder": "x"}, 3):
        with pytest.raises(ValidationError, match="train"):
            load(Path(), part, "test.json")
