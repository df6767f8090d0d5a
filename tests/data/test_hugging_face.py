"""Hugging Face data sets, written by the library itself, with labels in every form they come in."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from mlt.data import LabelTable
from mlt.data.row_images import row_bytes, row_image
from mlt.data.same_files import count_shared
from mlt.data.settings import DataConfig
from mlt.errors import ConfigError, DataError, MissingFileError, UserError

datasets = pytest.importorskip("datasets")
Features, ClassLabel, Value = datasets.Features, datasets.ClassLabel, datasets.Value
List, HfImage = datasets.List, datasets.Image

NAMES = ["cat", "dog", "ox"]
LABELS = [[0], [0, 2], [], [1, 0]]
TARGETS = [[1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]]


@pytest.fixture(autouse=True)
def cache_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the library caches out of the home folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (6, 4), grey).save(file, "PNG")
    return file.getvalue()


def write(path: Path, columns: dict[str, Any], features: dict[str, Any], **splits: slice) -> Path:
    """A folder of parquet files, one for each split."""
    rows = len(next(iter(columns.values())))
    columns = {"image": [{"bytes": png(row), "path": None} for row in range(rows)], **columns}
    whole = datasets.Dataset.from_dict(columns, Features({"image": HfImage(), **features}))
    (path / "data").mkdir(parents=True)
    for split, part in (splits or {"train": slice(0, 2), "test": slice(2, 4)}).items():
        chosen = whole.select(range(rows)[part])
        chosen.to_parquet(path / "data" / f"{split}-00000-of-00001.parquet")
    return path


def read(path: Path, part: str = "train", **settings: Any) -> LabelTable:
    config = TypeAdapter(DataConfig).validate_python({"name": "hf", "path": str(path), **settings})
    source = config.source()
    return source.train() if part == "train" else source.test(source.train().class_names)


def test_lists_of_class_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "set", {"labels": LABELS}, {"labels": List(ClassLabel(names=NAMES))})
    train, test = read(path), read(path, "test")
    assert train.class_names == test.class_names == tuple(NAMES)
    assert train.targets([0, 1]).tolist() + test.targets([0, 1]).tolist() == TARGETS
    assert train.known is None and train.soft is None and train.notes == ()
    assert train.image_ids.tolist() == [0, 1] and list(test.paths or ()) == ["test/0", "test/1"]
    assert [row_image(test, row).getpixel((0, 0)) for row in (0, 1)] == [(2, 2, 2), (3, 3, 3)]
    assert row_bytes(test, 1) == png(3)
    assert row_image(train.take([1]), 0).getpixel((0, 0)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("values", "feature", "settings"),
    [
        ([[NAMES[c] for c in row] for row in LABELS], List(Value("string")), {}),
        (["|".join(NAMES[c] for c in row) for row in LABELS], Value("string"), {"separator": "|"}),
        (LABELS, List(Value("int64")), {"class_names": NAMES}),
        (TARGETS, List(Value("int8")), {"class_names": NAMES, "multi_hot": True}),
        (TARGETS, List(Value("int64"), length=3), {"class_names": NAMES, "multi_hot": True}),
        (np.array(TARGETS, bool).tolist(), List(Value("bool")), {"class_names": NAMES}),
        (np.array(TARGETS, float).tolist(), List(Value("float32")), {"class_names": NAMES}),
    ],
)
def test_the_other_forms_of_labels(
    tmp_path: Path, values: Any, feature: Any, settings: dict[str, Any]
) -> None:
    path = write(tmp_path / "set", {"labels": values}, {"labels": feature}, train=slice(0, 4),
                 test=slice(2, 4))  # fmt: skip
    table = read(path, **settings)
    assert table.class_names == tuple(NAMES)
    assert table.targets(range(4)).tolist() == TARGETS
    # The names of the test split are fewer: those of training are its columns, and known.
    test = read(path, "test", **settings)
    assert test.targets([0, 1]).tolist() == TARGETS[2:]
    assert test.known is None


def test_one_label_per_image_and_a_field_of_a_column(tmp_path: Path) -> None:
    objects = [{"category": row, "area": [1.0] * len(row)} for row in LABELS]
    features = {
        "label": ClassLabel(names=NAMES),
        "objects": {"category": List(ClassLabel(names=NAMES)), "area": List(Value("float32"))},
        "boxes": List({"category": ClassLabel(names=NAMES)}),
        "file": Value("string"),
    }
    boxes = [[{"category": c} for c in row] for row in LABELS]
    columns = {"label": [2, 1, 0, 2], "objects": objects, "boxes": boxes, "file": list("wxyz")}
    path = write(tmp_path / "set", columns, features)
    assert read(path, labels_column="label").targets([0, 1]).tolist() == [[0, 0, 1], [0, 1, 0]]
    for column in ("objects.category", "boxes.category"):
        table = read(path, "test", labels_column=column, id_column="file")
        assert table.targets([0, 1]).tolist() == TARGETS[2:]
        assert table.class_names == tuple(NAMES)
        assert list(table.image_ids) == ["y", "z"]


def test_a_column_for_every_class(tmp_path: Path) -> None:
    columns = {
        "cat": [1, 0, None, -1],
        "dog": [True, False, True, None],
        "ox": [0.25, 1.0, 0.0, None],
    }
    features = {"cat": Value("int64"), "dog": Value("bool"), "ox": Value("float32")}
    path = write(tmp_path / "set", columns, features, train=slice(0, 4))
    table = read(path, labels_column=None)
    assert table.class_names == ("cat", "dog", "ox")
    assert table.targets(range(4)).tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert table.soft_targets([0]).tolist() == [[1, 1, 0.25]]
    known = [[True] * 3, [True] * 3, [False, True, True], [False] * 3]
    assert table.known_mask(range(4)).tolist() == known
    chosen = read(path, labels_column=None, class_names=["dog", "cat"], blank="negative",
                  uncertain="positive")  # fmt: skip
    assert chosen.targets(range(4)).tolist() == [[1, 1], [0, 0], [1, 0], [0, 1]]
    assert chosen.known is None


def test_images_without_labels_are_unknown_and_counted(tmp_path: Path) -> None:
    features = {"labels": List(Value("string"))}
    path = write(tmp_path / "set", {"labels": [["cat"], None, [], ["dog"]]}, features,
                 train=slice(0, 4))  # fmt: skip
    table = read(path)
    assert table.known_mask(range(4)).tolist() == [[True] * 2, [False] * 2, [True] * 2, [True] * 2]
    assert table.notes == (
        "1 image has null for labels, taken as unknown for every class (data.blank)",
    )
    assert read(path, blank="negative").known is None


def test_class_names_choose_and_order(tmp_path: Path) -> None:
    path = write(tmp_path / "set", {"labels": LABELS}, {"labels": List(ClassLabel(names=NAMES))})
    table = read(path, class_names=["ox", "cat"])
    assert table.targets([0, 1]).tolist() == [[0, 1], [1, 1]]
    assert "'dog' (0 labels" in table.notes[0]
    test = read(path, "test", class_names=["ox", "cat"])
    assert test.targets([0, 1]).tolist() == [[0, 0], [0, 1]]
    assert "'dog' (1 label" in test.notes[0]


def test_labels_of_the_test_split_that_training_lacks_are_noted(tmp_path: Path) -> None:
    columns = {"labels": [["cat"], ["dog"], ["yeti", "cat"], []]}
    path = write(tmp_path / "set", columns, {"labels": List(Value("string"))})
    test = read(path, "test")
    assert test.class_names == ("cat", "dog")
    assert test.targets([0, 1]).tolist() == [[1, 0], [0, 0]]
    assert "'yeti' (1 label" in test.notes[0]


def test_folders_that_were_saved_to_disk_and_single_files(tmp_path: Path) -> None:
    path = write(tmp_path / "set", {"labels": LABELS}, {"labels": List(ClassLabel(names=NAMES))})
    both = datasets.load_dataset(str(path))
    both.save_to_disk(str(tmp_path / "both"))
    both["train"].save_to_disk(str(tmp_path / "one"))
    assert read(tmp_path / "both", "test").targets([0, 1]).tolist() == TARGETS[2:]
    assert read(tmp_path / "one").targets([0, 1]).tolist() == TARGETS[:2]
    file = path / "data" / "test-00000-of-00001.parquet"
    assert read(file).targets([0, 1]).tolist() == TARGETS[2:]
    with pytest.raises(
        DataError, match=r"data.test: .* has no split 'test'; it has train.*fraction"
    ):
        read(tmp_path / "one", "test")


def test_a_folder_of_images_with_metadata(tmp_path: Path) -> None:
    for row, labels in enumerate(LABELS[:2]):
        (tmp_path / "set" / "train").mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), row).save(tmp_path / "set" / "train" / f"{row}.png")
        with (tmp_path / "set" / "train" / "metadata.jsonl").open("a") as file:
            names = str([NAMES[c] for c in labels]).replace("'", '"')
            file.write(f'{{"file_name": "{row}.png", "labels": {names}}}\n')
    table = read(tmp_path / "set")
    assert table.class_names == ("cat", "ox")
    assert table.targets([0, 1]).tolist() == [[1, 0], [1, 1]]
    assert row_image(table, 1).getpixel((0, 0)) == (1, 1, 1)


@pytest.mark.parametrize("kind", ["paths", "bytes"])
def test_columns_of_paths_and_of_bytes(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.png").write_bytes(png(7))
    values = ["a.png", "b.png"] if kind == "paths" else [png(7), b""]
    feature = Value("string") if kind == "paths" else Value("binary")
    table = datasets.Dataset.from_dict(
        {"image": values, "labels": [["cat"], []]},
        Features({"image": feature, "labels": List(Value("string"))}),
    )
    table.to_parquet(tmp_path / "train.parquet")
    read_back = pickle.loads(pickle.dumps(read(tmp_path / "train.parquet")))  # noqa: S301
    assert row_image(read_back, 0).getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(UserError, match=r"b\.png.* does not exist|train/1 cannot be read: it is e"):
        row_image(read_back, 1)


def test_images_that_cannot_be_read_name_their_row(tmp_path: Path) -> None:
    images = [
        {"bytes": b"no image", "path": None},
        None,
        {"bytes": None, "path": "https://example.org/a.png"},
        {"bytes": png(1)[:50], "path": None},
        {"bytes": None, "path": "a\0b"},
    ]
    columns = {"image": images, "labels": [["cat"]] * 5}
    image = {"bytes": Value("binary"), "path": Value("string")}  # as other writers store images
    features = Features({"image": image, "labels": List(Value("string"))})
    datasets.Dataset.from_dict(columns, features).to_parquet(tmp_path / "train.parquet")
    table = read(tmp_path / "train.parquet")
    for row, reason in enumerate(
        ["not an image of a known", "has none in this row", "is not fetched", "train/3", "null"]
    ):
        with pytest.raises(DataError, match=reason):
            row_image(table, row)


def test_parts_are_cut_out_of_a_single_split_and_keep_groups_together(tmp_path: Path) -> None:
    rows = 40
    columns = {
        "labels": [[row % 2] for row in range(rows)],
        "patient": [None, *(str(row // 4) for row in range(1, rows - 2)), "NA", "NA"],
    }
    features = {"labels": List(ClassLabel(names=["cat", "dog"])), "patient": Value("string")}
    path = write(tmp_path / "set", columns, features, train=slice(0, rows))
    values = {"name": "hf", "path": str(path), "group": "patient", "test": {"fraction": 0.25}}
    source = TypeAdapter(DataConfig).validate_python(values).source()
    train, test = source.train(), source.test()
    assert len(train) + len(test) == rows and 8 <= len(test) <= 12
    assert train.groups is not None and test.groups is not None
    assert not (set(train.groups) & set(test.groups)) - {""} and "NA" not in train.groups
    note = "3 of 40 images have no group in column 'patient' ('NA')"
    assert any(said.startswith(note) for said in train.notes)
    for table in (train, test):  # each still reads its own images
        greys = [row_image(table, row).getpixel((0, 0))[0] for row in range(len(table))]
        assert greys == table.image_ids.tolist()
    assert count_shared(train, test) == 0
    assert count_shared(train, read(path)) == len(train)


def test_a_validation_split_is_used_or_mentioned(tmp_path: Path) -> None:
    columns, features = {"labels": LABELS}, {"labels": List(ClassLabel(names=NAMES))}
    parts = {"train": slice(0, 2), "validation": slice(2, 3), "test": slice(3, 4)}
    path = write(tmp_path / "set", columns, features, **parts)
    assert read(path).notes == (
        "its split 'validation' is not used; data.validation: validation watches it",
    )
    assert read(path, validation="validation").notes == ()
    values = {"name": "hf", "path": str(path), "validation": "validation"}
    validation = TypeAdapter(DataConfig).validate_python(values).source().validation()
    assert validation is not None and list(validation.paths or ()) == ["validation/0"]


def test_a_data_set_of_the_hub_is_asked_for_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    path = write(tmp_path / "set", {"labels": LABELS}, {"labels": List(ClassLabel(names=NAMES))})
    splits = datasets.load_dataset(str(path))

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        asked.append((arguments, options))
        return splits

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    settings = {"root": str(tmp_path), "config": "small", "revision": "abc"}
    assert len(read(Path("owner/name"), **settings)) == 2
    assert asked == [(("owner/name", "small"), {"revision": "abc"})]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels_column": "tags"}, r"data.labels_column: there is no column 'tags'. The columns"),
        ({"labels_column": "labels.a"}, r"'labels' has no field 'a'"),
        ({"image_column": "img"}, r"data.image_column: there is no column 'img'"),
        ({"image_column": "labels"}, r"expected images \(Image, bytes or paths\)"),
        ({"labels_column": "image"}, r"row 0: its labels are of the type struct"),
        (
            {"labels_column": None, "class_names": None},
            r"labels is of the type .*list.*data.class_names",
        ),
        ({}, r"row 1 has the label 2, but the numbers of the 2 classes are 0 to 1"),
        ({"class_names": None}, r"row 0: its labels are numbers; name the classes, from number 0"),
        ({"train": "training"}, r"has no split 'training'; it has train, test"),
        ({"multi_hot": True}, r"row 0 has 1 numbers, but there are 2 classes"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "set", {"labels": LABELS}, {"labels": List(Value("int64"))})
    with pytest.raises(DataError, match=message):
        read(path, **{"class_names": ["cat", "dog"], **settings})


def test_lists_that_look_multi_hot_are_not_taken_for_class_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "set", {"labels": TARGETS}, {"labels": List(Value("int64"))})
    with pytest.raises(DataError, match=r"look like 0 or 1 .* set data.multi_hot: true"):
        read(path, class_names=NAMES)


def test_damaged_and_absent_folders(tmp_path: Path) -> None:
    path = write(tmp_path / "set", {"labels": LABELS}, {"labels": List(ClassLabel(names=NAMES))})
    file = path / "data" / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"set cannot be opened by the library datasets: "):
        read(path)
    with pytest.raises(MissingFileError, match=r"no folder .*absent, and .* is no name .* hub"):
        read(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty cannot be opened"):
        read(tmp_path / "empty")
    (tmp_path / "labels.csv").write_text('image,labels\n"a.png,cat\n')
    with pytest.raises(DataError, match="csv"):
        read(tmp_path / "labels.csv")
    (tmp_path / "labels.txt").write_text("x")
    with pytest.raises(DataError, match="a single file must be"):
        read(tmp_path / "labels.txt")


def test_names_of_the_librarys_own_builders_are_not_opened(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="pandas is no name of a data set on the hub"):
        read(Path("pandas"), root=str(tmp_path))


def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "set.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit")
    with pytest.raises(DataError):
        read(folder)
    assert not (tmp_path / "ran").exists()


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'mlt\[hf\]'"):
        read(tmp_path)
