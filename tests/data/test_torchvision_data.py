"""Data sets of torchvision, FiftyOne and Hugging Face, handed over from Python."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import datasets as tv
from torchvision.transforms import v2

import mlt
from mlt.data import LabelTable, read_coco, read_voc
from mlt.data.loader import build_loader
from mlt.data.own_data import OwnPart, own_parts
from mlt.data.row_images import row_bytes, row_image
from mlt.data.transforms import Preprocessing, eval_transform
from mlt.errors import ConfigError, DataError
from mlt.inference import Predictor
from mlt.models.checkpoint import load_checkpoint
from mlt.predictions import Predictions

TRANSFORM = eval_transform(Preprocessing(4, (0.5,) * 3, (0.5,) * 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images in two classes, as ImageFolder reads them."""
    for name, grey in {"cat/1": 10, "dog/1": 20, "dog/2": 30}.items():
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), grey).save(path)
    return tmp_path / "images"


def part_of(dataset: Any) -> OwnPart:
    return own_parts({"train": dataset})["train"]


def test_image_folder_with_its_images_as_they_are(folder: Path) -> None:
    part = part_of(tv.ImageFolder(str(folder)))
    table = part.table
    assert part.items is None and table.class_names == ("cat", "dog")
    assert table.targets(range(3)).tolist() == [[1, 0], [0, 1], [0, 1]]
    assert table.image_ids.tolist() == [0, 1, 2]
    assert row_image(table, 2).getpixel((0, 0)) == (30, 30, 30)
    assert row_bytes(table, 2).startswith(b"P6") and row_bytes(table, 1) != row_bytes(table, 2)
    (batch,) = build_loader(part.dataset(TRANSFORM), batch_size=4, workers=2)
    assert batch.images.shape == (3, 3, 4, 4)
    np.testing.assert_allclose(batch.images[2, 0, 0, 0], (30 / 255 - 0.5) / 0.5)
    taken = pickle.loads(pickle.dumps(table.take([2, 0])))  # noqa: S301
    assert row_image(taken, 0).getpixel((0, 0)) == (30, 30, 30)


def test_image_folder_with_a_transform_of_its_own(folder: Path) -> None:
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    part = part_of(tv.ImageFolder(str(folder), transform=transform))
    assert part.items is not None
    (batch,) = build_loader(part.dataset(lambda image: 1 / 0), batch_size=4, workers=0)
    assert batch.images.shape == (3, 3, 4, 6)
    assert batch.targets.tolist() == [[1, 0], [0, 1], [0, 1]]


def test_what_target_transform_makes_of_classes(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = tv.ImageFolder(str(folder), target_transform=lambda c: [1, c, 1 - c])
    dataset.class_names = ["animal", "dog", "cat"]
    with caplog.at_level(logging.INFO, "mlt"):
        table = part_of(dataset).table
    assert table.targets(range(3)).tolist() == [[1, 0, 1], [1, 1, 0], [1, 1, 0]]
    assert "reading its 3 items once" in caplog.text


def test_celeba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 attributes, and the empty name that torchvision reads after the last."""
    names = [f"attribute_{c}" for c in range(40)]
    base = tmp_path / "celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    values = np.random.default_rng(0).choice([-1, 1], (3, 40))
    lines = {"list_attr_celeba": ["3", " ".join(names) + " "]}
    rest = {"list_eval_partition": "0", "identity_CelebA": "1", "list_bbox_celeba": "0 0 1 1"}
    lines |= {"list_bbox_celeba": ["3", "image_id x_1 y_1 width height"]}
    lines |= {"list_landmarks_align_celeba": ["3", "lefteye_x lefteye_y"]}
    rest |= {"list_landmarks_align_celeba": "1 1"}
    for row in range(3):
        name = f"{row:06}.jpg"
        Image.new("RGB", (6, 4)).save(base / "img_align_celeba" / name)
        lines["list_attr_celeba"].append(f"{name} {' '.join(map(str, values[row]))}")
        for file, value in rest.items():
            lines.setdefault(file, []).append(f"{name} {value}")
    for file, content in lines.items():
        (base / f"{file}.txt").write_text("\n".join(content) + "\n")
    monkeypatch.setattr(tv.CelebA, "_check_integrity", lambda self: True)
    celeba = tv.CelebA(str(tmp_path), split="train")
    celeba.class_names = celeba.attr_names[:40]
    celeba.targets = celeba.attr
    part = part_of(celeba)
    assert part.items is None and part.table.class_names == tuple(names)
    np.testing.assert_array_equal(part.table.targets(range(3)), values == 1)


def test_detection_data_sets_name_what_reads_their_files(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "1.jpg")
    box = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 3, 3], "area": 9, "iscrowd": 0}
    file = tmp_path / "coco.json"
    image = {"id": 1, "file_name": "1.jpg", "width": 6, "height": 4}
    categories = [{"id": 7, "name": "cat"}]
    file.write_text(json.dumps({"images": [image], "annotations": [box], "categories": categories}))
    with pytest.raises(ConfigError, match=r"a CocoDetection, .*give mlt.read_coco\(annotation_f"):
        part_of(tv.CocoDetection(str(tmp_path), str(file)))
    assert part_of(read_coco(file, tmp_path)).table.class_names == ("cat",)

    voc = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    (voc / "ImageSets" / "Main" / "trainval.txt").write_text("1\n")
    (voc / "Annotations" / "1.xml").write_text(
        "<annotation><filename>1.jpg</filename><object><name>cat</name></object></annotation>"
    )
    Image.new("RGB", (6, 4)).save(voc / "JPEGImages" / "1.jpg")
    dataset = tv.VOCDetection(str(tmp_path), "2012", "trainval")
    with pytest.raises(ConfigError, match=r"a VOCDetection, .*give mlt.read_voc\(root, 'VOC20"):
        part_of(dataset)
    assert len(part_of(read_voc(tmp_path, "VOC2012", "trainval")).table) == 1


def test_a_hugging_face_data_set_names_what_reads_it() -> None:
    hf = pytest.importorskip("datasets")
    image = {"bytes": b"", "path": None}
    features = hf.Features({"image": hf.Image(), "labels": hf.List(hf.ClassLabel(names=["cat"]))})
    dataset = hf.Dataset.from_dict({"image": [image] * 2, "labels": [[0], []]}, features)
    with pytest.raises(ConfigError, match=r"give mlt.data.read_hf\(dataset\)"):
        part_of(dataset)
    table = part_of(mlt.data.read_hf(dataset)).table
    assert table.targets([0, 1]).tolist() == [[1], [0]]
    # What was chosen of it in memory keeps its order.
    chosen = mlt.data.read_hf(dataset.select([1, 0]), "mine")
    assert chosen.targets([0, 1]).tolist() == [[0], [1]]
    assert list(chosen.paths or ()) == ["mine/0", "mine/1"]


class Pictures(Dataset):
    """Pillow's images; one of them may be something else."""

    class_names = ("cat", "dog")

    def __init__(self, *items: Any) -> None:
        self.rows = items

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        if isinstance(self.rows[row], Exception):
            raise self.rows[row]
        return self.rows[row]


GOOD = (Image.new("L", (6, 4), 9), [1, 0])


def test_items_that_cannot_be_read_are_named_or_skipped() -> None:
    dataset = Pictures(OSError("broken"), GOOD, (Image.new("CMYK", (6, 4)), [0, 1]))
    dataset.targets = [[0, 0], [1, 0], [0, 1]]
    part = part_of(dataset)
    loader = build_loader(part.dataset(TRANSFORM, "skip"), batch_size=4, workers=0)
    assert [batch.indices.tolist() for batch in loader] == [[1, 2]]
    assert loader.problems == {0: "data['train'], item 0 cannot be read: broken"}
    with pytest.raises(DataError, match=r"data\['train'\], item 0 cannot be read: broken"):
        list(build_loader(part.dataset(TRANSFORM), batch_size=4, workers=0))


def test_images_of_two_kinds_are_refused() -> None:
    tensor = (torch.zeros(3, 4, 4), [0, 1])
    for items, message in [
        ((GOOD, tensor), "item 1: the image is a Tensor, but that of an earlier item is Pillow's"),
        ((tensor, GOOD), "item 1: the image is Pillow's, but that of an earlier item is a tensor"),
    ]:
        part = part_of(Pictures(*items))
        with pytest.raises(DataError, match=message):
            list(build_loader(part.dataset(TRANSFORM), batch_size=2, workers=0))


def test_targets_that_are_not_those_of_the_items_are_noticed() -> None:
    dataset = Pictures(GOOD, GOOD)
    dataset.targets = [[0, 1], [1, 0]]
    with pytest.raises(DataError, match=r"data\['train'\], item 0: its target, or what of it is k"):
        part_of(dataset)
    dataset = Pictures((*GOOD, [True, False]))
    dataset.targets = [[1, 0]]
    with pytest.raises(DataError, match="or what of it is known"):
        part_of(dataset)


def test_the_same_row_numbers_of_two_parts_are_not_the_same_images() -> None:
    from mlt.data.own_data import own_data

    data = own_data(own_parts({"train": Pictures(GOOD), "test": Pictures(GOOD)}))
    assert not any("images too" in note for note in data.notes)


def test_training_on_pictures_makes_a_checkpoint_that_predicts_files(
    folder: Path, tiny_values: dict[str, Any]
) -> None:
    tiny_values["training"] |= {"epochs": 1, "batch_size": 2}
    config = mlt.config.parse_config(tiny_values)
    dataset = tv.ImageFolder(str(folder))
    mlt.train(config, data={"train": dataset, "test": dataset})
    model, info = load_checkpoint(f"{config.output}/last.safetensors")
    predictor = Predictor(model, info.class_names, Preprocessing.from_dict(info.preprocessing))
    files = mlt.inference.find_images(folder)
    logits = [prediction.logits for prediction in predictor.predict(files)]
    written = Predictions.load(f"{config.output}/predictions.npz")
    np.testing.assert_allclose(np.stack(logits), written.logits, atol=1e-5)


class SampleCollection:
    """The base of FiftyOne's data sets and views."""


class FiftyOneView(SampleCollection):
    """What the recipe uses of FiftyOne, whose data base is not a part of the tests."""

    def __init__(self, samples: list[dict[str, Any]]) -> None:
        self.samples = samples

    def values(self, field: str) -> list[Any]:
        found = []
        for sample in self.samples:
            value: Any = sample
            for name in field.split("."):
                if isinstance(value, list):
                    value = [entry[name] for entry in value]
                else:
                    value = None if value is None else value[name]
            found.append(value)
        return found


def test_the_recipe_for_fiftyone(folder: Path) -> None:
    """As it stands in docs/your_own_data.md."""
    samples = [
        {"id": "a", "filepath": str(folder / "cat" / "1.png"), "tags": None},
        {
            "id": "b",
            "filepath": str(folder / "dog" / "1.png"),
            "tags": {"classifications": [{"label": "dog"}, {"label": "cat"}]},
        },
    ]
    view = FiftyOneView(samples)
    with pytest.raises(ConfigError, match=r"is a SampleCollection, .*'FiftyOne' in docs/your_own"):
        part_of(view)
    recipe = (Path(__file__).parents[2] / "docs" / "your_own_data.md").read_text()
    code = recipe.split("## FiftyOne")[1].split("```python")[1].split("```")[0]
    names: dict[str, Any] = {"view": view, "mlt": mlt}
    exec(code, names)
    table: LabelTable = names["table"]
    assert table.class_names == ("cat", "dog")
    assert table.targets([0, 1]).tolist() == [[0, 0], [1, 1]]
    assert row_image(table, 1).getpixel((0, 0)) == (20, 20, 20)
