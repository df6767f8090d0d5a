"""Parts that are cut out of one table: fractions, saved splits and folds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from scipy.sparse import csr_array

from mlt.config import parse_config
from mlt.data.labels import LabelTable
from mlt.data.run_data import load_data
from mlt.data.settings import DataConfig
from mlt.data.sources.csv import CsvData
from mlt.data.sources.cut_settings import Fraction, OrFraction
from mlt.data.splits.partition import Partition
from mlt.data.splits.parts import cut_rows
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.train import train
from mlt.errors import ConfigError, DataError
from mlt.predictions import Predictions

NAMES = ["cat", "dog", "yeti"]
CUT = {"validation": {"fraction": 0.1}, "test": {"fraction": 0.2}}


def data_config(**values: Any) -> DataConfig:
    """A data section."""
    return TypeAdapter(DataConfig).validate_python(values)


def labels_of(n: int) -> list[str]:
    """The classes of an image: a dog in half, a cat in a third, a yeti in three of 40."""
    present = {"cat": n % 3 == 0, "dog": n % 2 == 0, "yeti": n % 13 == 5}
    return [name for name, there in present.items() if there]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images, listed in a CSV table, a COCO file and a VOC folder."""
    root = tmp_path_factory.mktemp("parts")
    voc = root / "voc"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for n in range(40):
        image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        image.save(root / f"{n:02}.png")
        image.save(voc / "JPEGImages" / f"{n:02}.jpg")
        names = labels_of(n)
        objects = "".join(f"<object><name>{name}</name></object>" for name in names)
        (voc / f"Annotations/{n:02}.xml").write_text(f"<annotation>{objects}</annotation>")
        records.append({"id": n, "file_name": f"{n:02}.png", "width": 32, "height": 32})
        boxes += [
            {
                "id": 3 * n + NAMES.index(name), "image_id": n, "bbox": [1, 1, 9, 9], "area": 81,
                "iscrowd": 0, "category_id": NAMES.index(name) + 1,
            }
            for name in names
        ]  # fmt: skip
    (voc / "ImageSets/Main/train.txt").write_text("".join(f"{n:02}\n" for n in range(40)))
    lines = [f"{n:02}.png,{'|'.join(labels_of(n))}" for n in range(40)]
    (root / "all.csv").write_text("\n".join(["path,labels", *lines]))
    categories = [{"id": c + 1, "name": name} for c, name in enumerate(NAMES)]
    content = {"images": records, "annotations": boxes, "categories": categories}
    (root / "all.json").write_text(json.dumps(content))
    return root


def sources(root: Path) -> dict[str, dict[str, Any]]:
    """The data section of each format, without test images."""
    return {
        "csv": {"name": "csv", "root": str(root), "train": "all.csv", "class_names": NAMES},
        "coco": {
            "name": "coco",
            "root": str(root),
            "train": {"annotations": "all.json", "images": "."},
        },
        "voc": {"name": "voc", "root": str(root / "voc"), "class_names": NAMES},
    }


@pytest.mark.parametrize("name", ["csv", "coco", "voc"])
def test_fractions_of_every_source(images: Path, name: str) -> None:
    config = data_config(**sources(images)[name], **CUT)
    data = load_data(config)
    assert data.validation is not None and config.has_validation
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    assert [len(part) for part in parts.values()] == [28, 4, 8]
    assert len({str(i) for part in parts.values() for i in part.image_ids}) == 40
    for part in parts.values():
        assert (part.class_counts().counts >= 1).all()  # the three yetis too
    assert data.test.class_counts().counts.tolist() == [3, 4, 1]
    assert any("train 28 images" in note and "test 8 images" in note for note in data.notes)
    # Each part read alone, by another source, is the same.
    validation = config.source().validation()
    assert validation is not None and validation.digest() == data.validation.digest()
    assert config.source().test().digest() == data.test.digest()
    assert config.source().train().digest() == data.train.digest()


def test_the_cut_does_not_depend_on_the_order_of_the_rows(images: Path, tmp_path: Path) -> None:
    table = data_config(**sources(images)["csv"], **CUT).source().read_all()
    ids = np.array(table.image_ids.tolist())
    expected = {part: set(ids[rows]) for part, rows in cut_rows(table, {"test": 0.2}).items()}
    order = np.random.default_rng(3).permutation(40)
    shuffled = cut_rows(table.take(order), {"test": 0.2})
    assert {part: set(ids[order][rows]) for part, rows in shuffled.items()} == expected
    other = cut_rows(table, {"test": 0.2}, seed=1)
    assert set(ids[other["test"]]) != expected["test"]


def test_a_run_on_fractions_is_evaluated_on_the_images_it_was_not_trained_on(
    images: Path, tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    config = parse_config({**tiny_values, "data": {**sources(images)["csv"], **CUT}})
    train(config)
    folder = Path(config.output)
    data = load_data(config.data)
    tested = Predictions.load(folder / "predictions.npz")
    assert tested.image_ids.tolist() == list(data.test.image_ids)
    again = evaluate_checkpoint(config, folder / "last.safetensors", "validation")
    assert data.validation is not None
    assert again.image_ids.tolist() == list(data.validation.image_ids)
    assert "were trained on" not in caplog.text
    other = {"validation": {"fraction": 0.1, "seed": 1}, "test": {"fraction": 0.2, "seed": 1}}
    changed = parse_config({**tiny_values, "data": {**sources(images)["csv"], **other}})
    evaluate_checkpoint(changed, folder / "last.safetensors")
    assert "of 8 test images were trained on" in caplog.text


def test_fractions_are_cut_before_the_long_tail(images: Path) -> None:
    longtail = {"b": 3.0, "max": 6, "min": 1}
    whole = load_data(data_config(**sources(images)["csv"], **CUT))
    data = load_data(data_config(**sources(images)["csv"], **CUT, longtail=longtail))
    assert data.test.digest() == whole.test.digest()
    assert len(data.train) < len(whole.train)
    assert set(data.train.image_ids) < set(whole.train.image_ids)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "test is missing"),
        ({"test": {"fraction": 0.5}, "validation": {"fraction": 0.5}}, "nothing to train on"),
        ({"test": {"fraction": 0.2, "seed": 1}, "validation": {"fraction": 0.1}}, "same seed"),
        ({"test": {"fraction": 1.2}}, "less than 1"),
        ({"test": {"fracton": 0.2}}, "did you mean 'fraction'"),
        ({"test": 3}, "data.test: must be a valid string, not 3"),
    ],
)
def test_what_cannot_be_cut_is_refused(
    images: Path, tiny_values: dict[str, Any], values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**tiny_values, "data": {**sources(images)["csv"], **values}})
    assert words in str(caught.value)


def test_a_part_without_an_image_is_refused(images: Path) -> None:
    config = data_config(**sources(images)["csv"], test={"fraction": 0.001})
    with pytest.raises(ConfigError, match=r"cutting test 0\.001 out of 40 images leaves test"):
        config.source().test()


def saved(images: Path, file: Path, rows: dict[str, Any]) -> str:
    """The path of a saved partition of the forty images."""
    table = data_config(**sources(images)["csv"], **CUT).source().read_all()
    whole = {part: np.array(of_part) for part, of_part in rows.items()}
    Partition.of_rows("mine", table, whole, {"name": "by hand"}).save(file)
    return str(file)


def test_a_saved_split_names_the_parts(images: Path, tmp_path: Path) -> None:
    rows = {"train": range(10), "validation": range(10, 14), "test": range(14, 20)}
    split = saved(images, tmp_path / "split.json", rows)
    config = data_config(**sources(images)["csv"], split=split)
    data = load_data(config)
    assert config.has_validation and data.validation is not None
    assert [len(t) for t in (data.train, data.validation, data.test)] == [10, 4, 6]
    assert data.test.image_ids.tolist() == [f"{n}.png" for n in range(14, 20)]
    assert any("20 of 40 images are in no part" in note for note in data.notes)
    twice = {**sources(images)["csv"], "test": "all.csv", "split": split}
    with pytest.raises(ValidationError, match="has the test images already"):
        data_config(**twice)


def test_a_saved_split_without_test_images_needs_some(images: Path, tmp_path: Path) -> None:
    split = saved(images, tmp_path / "s.json", {"train": range(30), "validation": range(30, 40)})
    with pytest.raises(ConfigError, match=r"data\.test is missing"):
        load_data(data_config(**sources(images)["csv"], split=split))
    config = data_config(**sources(images)["csv"], split=split, test={"fraction": 0.1})
    data = load_data(config)
    assert (len(data.train), len(data.test)) == (26, 4)


def test_folds(images: Path, tmp_path: Path) -> None:
    rows = {f"fold_{k}": range(10 * k, 10 * k + 10) for k in range(4)}
    split = saved(images, tmp_path / "folds.json", rows)
    values = {**sources(images)["csv"], "split": split}
    data = load_data(data_config(**values, fold=2))
    assert data.test.image_ids.tolist() == [f"{n}.png" for n in range(20, 30)]
    assert len(data.train) == 30 and data.validation is None
    with pytest.raises(ConfigError, match="4 folds, 0 to 3; not 4"):
        load_data(data_config(**values, fold=4))
    with pytest.raises(ConfigError, match=r"none is named: set data\.fold=0"):
        load_data(data_config(**values))
    with pytest.raises(ConfigError, match="no split with folds"):
        load_data(data_config(**sources(images)["csv"], test={"fraction": 0.2}, fold=0))


def test_a_saved_split_is_checked(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    split = saved(images, file, {"train": range(10), "test": range(14, 20)})
    text = file.read_text()
    file.write_text(text.replace('"03.png"', '"39.png"'))
    with pytest.raises(DataError, match="is damaged, or was changed by hand"):
        Partition.load(split)
    file.write_text(text.replace('"03.png"', '"14.png"'))
    with pytest.raises(DataError, match=r"'14\.png' in train and in test"):
        Partition.load(split)
    file.write_text(text)
    less = [line for line in (images / "all.csv").read_text().splitlines() if "03" not in line]
    (tmp_path / "all.csv").write_text("\n".join(less))
    values = {**sources(images)["csv"], "root": str(tmp_path), "split": split}
    with pytest.raises(DataError, match=r"made from other images than data\.train has.*'03\.png'"):
        data_config(**values).source().train()
    (tmp_path / "all.csv").write_text((images / "all.csv").read_text().replace("cat|dog", "dog"))
    values = {**sources(images)["csv"], "root": str(tmp_path), "split": split}
    with pytest.raises(DataError, match="in the part train, 1 classes have other counts"):
        data_config(**values).source().train()


def test_a_long_tail_is_cut_out_of_the_training_part_of_a_saved_split(
    images: Path, tmp_path: Path, tiny_values: dict[str, Any]
) -> None:
    rows = {"train": range(30), "test": range(30, 40)}
    split = saved(images, tmp_path / "split.json", rows)
    longtail = {"b": 3.0, "max": 6, "min": 1}
    data = {**sources(images)["csv"], "split": split, "longtail": longtail}
    loaded = load_data(parse_config({**tiny_values, "data": data}).data)
    assert loaded.split.recipe["name"] == "pareto"
    assert set(loaded.train.image_ids) < {f"{n:02}.png" for n in range(30)}


def test_fractions_of_a_folder_per_class(images: Path, tmp_path: Path) -> None:
    for n in range(40):
        folder = tmp_path / "all" / ("dog" if n % 2 else "cat")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n}.png").write_bytes((images / f"{n:02}.png").read_bytes())
    config = data_config(name="image_folder", root=str(tmp_path), train="all", **CUT)
    data = load_data(config)
    assert data.validation is not None
    assert [len(t) for t in (data.train, data.validation, data.test)] == [28, 4, 8]
    assert data.test.class_counts().counts.tolist() == [4, 4]


@pytest.mark.parametrize("share_known", [0.2, 0.8])
def test_what_is_known_to_be_absent_is_balanced(share_known: float) -> None:
    rng = np.random.default_rng(0)
    present = rng.random((400, 5)) < 0.1
    known = present | (rng.random((400, 5)) < [share_known, 0.5, 0.5, 0.5, 0.05])
    table = LabelTable(
        np.arange(400), None, tuple("abcde"), csr_array(present), known=csr_array(known)
    )
    rows = cut_rows(table, {"test": 0.25})["test"]
    absent = known & ~present
    wanted = 0.25 * absent.sum(axis=0)
    assert np.abs(absent[rows].sum(axis=0) - wanted).max() < 2


def test_images_of_a_group_are_in_one_part_and_the_notes_say_so(images: Path) -> None:
    lines = (images / "all.csv").read_text().splitlines()
    rows = [f"{line},{'' if n == 7 else f'p{n // 4}'}" for n, line in enumerate(lines[1:])]
    (images / "patients.csv").write_text("\n".join([f"{lines[0]},patient", *rows]))
    values = {**sources(images)["csv"], "train": "patients.csv", "group": "patient", **CUT}
    data = load_data(data_config(**values))
    assert data.validation is not None
    tables = (data.train, data.validation, data.test)
    patients = [set(filter(None, table.groups or ())) for table in tables]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 10
    assert sum(map(len, tables)) == 40
    assert any("11 groups, each in one part" in note for note in data.notes)


class Preset(CsvData):
    """A data set whose configuration cuts test images where nothing else is said."""

    test: OrFraction[str] | None = Fraction(fraction=0.2)


def test_a_saved_split_takes_the_place_of_a_fraction_by_default(
    images: Path, tmp_path: Path
) -> None:
    values = sources(images)["csv"]
    assert len(Preset(**values).source().test()) == 8
    rows = {f"fold_{k}": range(10 * k, 10 * k + 10) for k in range(4)}
    split = saved(images, tmp_path / "folds.json", rows)
    source = Preset(**values).of_fold(split, 1).source()
    assert source.test().image_ids.tolist() == [f"{n}.png" for n in range(10, 20)]
    assert len(source.train()) == 30


def test_published_data_takes_no_parts(images: Path, tmp_path: Path) -> None:
    split = saved(images, tmp_path / "split.json", {"train": range(30), "test": range(30, 40)})
    config = data_config(name="digits_mlt", root=str(tmp_path / "digits"), split=split)
    with pytest.raises(ConfigError, match="digits_mlt has a published split"):
        load_data(config)


def test_a_fraction_that_may_tear_patients_apart_is_noted(images: Path, tmp_path: Path) -> None:
    lines = (images / "all.csv").read_text().splitlines()
    paths = [f"{line},{n // 4}" for n, line in enumerate(lines[1:])]
    file = images / "patients.csv"
    file.write_text("\n".join([lines[0] + ",subject_id", *paths]))
    values = {**sources(images)["csv"], "train": "patients.csv"}
    suspicion = "no group is set, but the column 'subject_id' looks like one (40 images, 10 values)"
    torn = load_data(data_config(**values, test={"fraction": 0.2}))
    assert sum(suspicion in note for note in torn.notes) == 1
    whole = load_data(data_config(**values, test={"fraction": 0.2}, group="subject_id"))
    pattern = {"column": "subject_id", "pattern": "^."}
    part = load_data(data_config(**values, test={"fraction": 0.2}, group=pattern))
    for data in (whole, part):
        assert not any("no group is set" in note for note in data.notes)
        assert data.train.groups and data.test.groups
        assert {*data.train.groups}.isdisjoint(data.test.groups)
    # Whoever made a saved split has been warned.
    split = saved(images, tmp_path / "split.json", {"train": range(30), "test": range(30, 40)})
    assert suspicion not in str(load_data(data_config(**values, split=split)).notes)
