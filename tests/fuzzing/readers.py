"""What mlt reads, each with a small sound file to start from."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from pyarrow import parquet
from safetensors.torch import save_file

from mlt.config import load_config
from mlt.data import Partition, Split, read_coco, read_csv, read_image_ids, read_voc
from mlt.data.cache import cached_table
from mlt.data.formats.cifar import CIFAR, CifarArchive, read_cifar
from mlt.data.formats.class_folders import read_class_folders
from mlt.data.formats.class_list import names_of_numbers, read_class_list
from mlt.data.formats.csv import read_class_labels
from mlt.data.formats.egtea import read_clips
from mlt.data.formats.pickled_arrays import read_pickled_arrays
from mlt.data.formats.webdataset import read_webdataset
from mlt.data.formats.zip_images import list_images
from mlt.data.images import load_image
from mlt.data.labels import LabelTable
from mlt.data.splits.partition import ImagesOfPart, saved_parts
from mlt.data.splits.selection import read_image_list
from mlt.detection import evaluate_coco
from mlt.engine.training_state import load_training_state, save_training_state
from mlt.models.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint, save_decision
from mlt.models.weights import read_tensors
from mlt.prediction_tables import read_predictions
from mlt.predictions import Predictions
from mlt.report.runs import load_run
from mlt.run_folder import RunFolder

SECONDS = float(os.environ.get("MLT_FUZZ_SECONDS", "60"))
"""How long all of fuzzing shall take, about."""

TOKENS = [
    *(b"\t \n \r\n \x00 \xff \xef\xbb\xbf \xff\xfe \x1b[31m \xc3\xa9 \xed\xa0\x80".split(b" ")),
    *(b"0 -0 -1 1 2 0.5 1e-4 1e400 -1e400 NaN nan inf 9223372036854775808 1.0 0x10 1_0".split()),
    *(b"null true false yes no ~ \"\" '' \" ' \\ , ; : | - ? & * # % @ ! . .. / < > [] {}".split()),
    *(b"*a &a << !!binary !!python/object:os.system \\u0000 \\ud800 <a> &amp; &x;".split()),
    *(b"path labels id name iscrowd bbox image_id category_id shape descr epoch".split()),
    *(b" ", b"a" * 5000, b"[" * 3000, b'{"a":' * 2000, b"0" * 400),
]
"""What values, words and marks of other files look like, and what no file has."""


@dataclass(frozen=True)
class Reader:
    """A way in which a file is read.

    Attributes:
        name: What the table calls it.
        file: The name of the file, below a folder of its own.
        write: Writes the file, and what is read beside it.
        read: Reads the file.
        refuses: Whether damage is an error, and not made good with a warning.
    """

    name: str
    file: str
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    refuses: bool = True

    def prepare(self, folder: Path) -> Path:
        """Write the sound file; return its path."""
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        self.write(path)
        return path


COCO = {
    "images": [
        {"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48, "patient": f"p{n % 2}"}
        for n in range(1, 5)
    ],
    "annotations": [
        {"id": n, "image_id": n % 4 + 1, "category_id": 10 * (n % 3 + 1), "bbox": [1, 2, 9, 8],
         "area": 72, "iscrowd": 0, "segmentation": [[1, 2, 9, 2, 9, 8]]}
        for n in range(1, 7)
    ],
    "categories": [{"id": 10 * (n + 1), "name": name} for n, name in enumerate("abc")],
}  # fmt: skip
RESULTS = [
    {"image_id": n, "category_id": 10, "bbox": [1, 2, 9, 8], "score": 0.5} for n in range(1, 4)
]
MULTI_HOT = "path,cat,dog,yeti,patient\na.jpg,1,0,,p1\nb.jpg,0,1.0,-1,p2\nc.jpg,1,True,0,p1\n"
LISTS = "path\tlabels\na.jpg\tcat|dog\nb.jpg\t\nc.jpg\tdog\n"
LONG = "path,labels\na.jpg,cat\na.jpg,dog\nb.jpg,cat\n"
RECORDS = [
    {"path": "a.jpg", "labels": ["cat", "dog"], "meta": {"group": 3}},
    {"path": "b.jpg", "labels": [], "meta": {"group": None}},
    {"path": "c.jpg", "labels": ["dog"], "meta": {"group": "x"}},
]
VOC = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotation><filename>a.jpg</filename><size><width>5'
    "</width></size><object><name>cat</name><difficult>0</difficult><bndbox><xmin>1</xmin></bndbox>"
    "</object><object><name>dog</name><difficult>1</difficult></object></annotation>\n"
)
SPLIT = Split("s", (3, 1, 2), ("cat", "dog"), (2, 1), {"name": "by hand"}, ({"file": "a"},))
PARTITION = Partition(
    "p",
    ("cat", "dog"),
    {"train": ImagesOfPart(2, (1, 1), ("a", "b")), "test": ImagesOfPart(1, (1, 0), ("c",))},
    {"fractions": {"test": 0.3}},
)
INFO = CheckpointInfo(("cat", "dog"), (30, 4), 32, {"own": "Linear"}, {"size": 8}, 3)
DECISION = {
    "calibration": {"method": "platt_per_label", "classes": [
        {"name": name, "slope": 1.5, "intercept": -0.5} for name in ("cat", "dog")]},
    "thresholds": None,
    "checks": {},
}  # fmt: skip
BUILT_IN = "data: {name: digits_mlt}\noutput: runs/x\n"


def _text(text: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(text, encoding="utf-8")


def _lines(records: list[dict[str, Any]]) -> Callable[[Path], Any]:
    return _text("".join(f"{json.dumps(record)}\n" for record in records))


def _predictions() -> Predictions:
    return Predictions.from_arrays(
        np.float32([[0.5, -1], [1, 2], [-0.5, 0.25]]), [[1, 0], [0, 1], [1, 1]],
        class_counts=[30, 4], num_train_images=32, class_names=["cat", "dog"],
        image_ids=["a", "b", "c"], groups=["p", "q", "p"], known=np.ones((3, 2), bool),
    )  # fmt: skip


def _table() -> LabelTable:
    return LabelTable.from_lists(["x", "y", "z"], ["x.jpg", "y.jpg", "z.jpg"], ["cat", "dog"],
                                 [[0], [0, 1], []])  # fmt: skip


def _config(path: Path) -> None:
    path.write_text(Path("configs/digits_mlt_cb_focal.yaml").read_text())


def _set(path: Path) -> Any:
    text = path.read_text(encoding="utf-8", errors="replace")
    return load_config("digits_mlt_bce", text.split("\n"))


def _voc(path: Path) -> None:
    path.write_text(VOC)
    lists = path.parents[1] / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")


def _voc_list(path: Path) -> None:
    path.write_text("a  1\nb -1\nc  0\n")
    (path.parents[2] / "JPEGImages").mkdir()


def _parquet(path: Path) -> None:
    parquet.write_table(pa.Table.from_pylist(RECORDS[:2]), path)


def _state(path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    state = {"model": layer.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 2}
    save_training_state(path, state)


def _load_state(path: Path) -> Any:
    return load_training_state(path, torch.device("cpu"))


def _checkpoint(path: Path) -> None:
    save_checkpoint(path, torch.nn.Linear(3, 2).state_dict(), INFO)
    save_decision(path, DECISION)


def _cached(path: Path) -> Any:
    source = path.with_name("source.txt")
    return cached_table(path.with_suffix(".npz"), [source], {"a": 1}, _table)[0].digest()


def _cache(path: Path) -> None:
    path.with_name("source.txt").write_text("a")
    _cached(path)


def _history(path: Path) -> None:
    folder = RunFolder(path.parent)
    for epoch in (1, 2, 3):
        folder.append_history(
            {"epoch": epoch, "loss": 0.5, "lr": 1e-3, "mAP": {"total": 0.1 * epoch, "tail": None}}
        )


def _read_history(path: Path) -> Any:
    folder = RunFolder(path.parent)
    folder.trim_history(2)
    return folder.recorded_epochs(), folder.best_total(), folder.best_total("AUROC")


def _environment(path: Path) -> Any:
    RunFolder(path.parent).write_environment("cpu")


def _run_file(write: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def whole(path: Path) -> None:
        _predictions().save(path.with_name("predictions.npz"))
        write(path)

    return whole


def _load_run(path: Path) -> Any:
    run = load_run(path.parent)
    return run.ap, run.settings, run.calibration, run.watches_validation, run.class_counts


def _truth_table(path: Path) -> None:
    path.write_text("id,dog,cat\nb,0.2,0.9\na,0.6,0.3\n")
    path.with_name("truth.csv").write_text("id,cat,dog\na,0,1\nb,1,0\n")


def _scores(path: Path) -> Any:
    return read_predictions(path, path.with_name("truth.csv"), kind="probabilities")


def _truth(path: Path) -> Any:
    return read_predictions(path.with_name("scores.csv"), path, kind="probabilities")


def _truth_beside_scores(path: Path) -> None:
    path.with_name("scores.csv").write_text("id,dog,cat\nb,0.2,0.9\na,0.6,0.3\n")
    path.write_text("id,cat,dog\na,0,1\nb,1,0\n")


def _image(kind: str) -> Callable[[Path], Any]:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    return lambda path: Image.fromarray(pixels).save(path, format=kind)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in {"a.jpg": b"x", "a.json": b'{"labels": ["cat"]}', "b.jpg": b"y",
                              "b.json": b'{"labels": ["dog", "cat"]}'}.items():  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _pickled(path: Path) -> None:
    batch = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), b"labels": [1, 0]}
    path.write_bytes(pickle.dumps(batch, protocol=2))


def _cifar(path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 9, (2, 3073), dtype=np.uint8).tobytes()
    with tarfile.open(path, "w:gz") as archive:
        for name in CIFAR["cifar10_lt"].forms[0].files["train"]:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(images)
            archive.addfile(member, io.BytesIO(images))


def _read_cifar(path: Path) -> Any:
    archive = CifarArchive(path, CIFAR["cifar10_lt"].forms[0])
    return read_cifar(archive, "train", CIFAR["cifar10_lt"].class_names)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train/cat/a.png", "train/dog/b.png", "test/cat/c.png"):
            archive.writestr(name, name.encode() * 9)


def _read_zip(path: Path) -> Any:
    images = list_images(path)
    return [images.read(name) for name in images.members], read_class_folders(images, "train")


def _results(path: Path) -> None:
    path.write_text(json.dumps(RESULTS))


READERS = [
    Reader("configuration (YAML)", "c.yaml", _config, load_config),
    Reader("--set", "set.txt",
           _text("optimizer.lr=0.01\nloss.weighting={name: none}\nsampler=shuffle"), _set),
    Reader("COCO", "a.json", _text(json.dumps(COCO)), lambda p: read_coco(p, ".").class_counts()),
    Reader("COCO results", "r.json", _results, lambda p: evaluate_coco(COCO, p)),
    Reader("CSV, column per class", "a.csv", _text(MULTI_HOT),
           lambda p: read_csv(p, ".", labels_column=None, group="patient").class_counts()),
    Reader("TSV, lists", "a.tsv", _text(LISTS),
           lambda p: read_csv(p, ".", separator="|").class_counts()),
    Reader("CSV, long form", "a.csv", _text(LONG),
           lambda p: read_csv(p, ".", layout="long").class_counts()),
    Reader("CSV, packed", "a.csv.gz",
           lambda p: p.write_bytes(gzip.compress(LISTS.encode(), mtime=0)),
           lambda p: read_csv(p, ".", separator="|").class_counts()),
    Reader("JSON lines", "a.jsonl", _lines(RECORDS), lambda p: read_csv(p, ".").class_counts()),
    Reader("JSON records", "a.json", _text(json.dumps(RECORDS)),
           lambda p: read_csv(p, ".").class_counts()),
    Reader("Parquet", "a.parquet", _parquet, lambda p: read_csv(p, ".").class_counts()),
    Reader("class labels", "names.csv", _text("id,name\n/m/1,cat\n/m/2,dog\n"), read_class_labels),
    Reader("VOC XML", "v/Annotations/a.xml", _voc,
           lambda p: read_voc(p.parents[1], ".", "train", class_names=None)),
    Reader("VOC class list", "v/ImageSets/Main/cat_train.txt",
           lambda p: (_voc_list(p), p.with_name("dog_train.txt").write_text("a 1\nb 1\nc -1\n")),
           lambda p: read_voc(p.parents[2], ".", "train", class_names=None)),
    Reader("CIFAR, pickled", "data_batch_1", _pickled,
           lambda p: read_pickled_arrays(p.read_bytes(), p.name)),
    Reader("CIFAR, packed", "cifar-10-binary.tar.gz", _cifar, _read_cifar),
    Reader("ZIP file of images", "a.zip", _zip, _read_zip),
    Reader("list of class numbers", "train.txt", _text("a/x.jpg 0\na/b y.jpg 1\n"),
           lambda p: read_class_list(p, ".", names_of_numbers(p))),
    Reader("list of clips", "train_split1.txt", _text("P1-R1-a-1-2 1 1 2\nP1-R2-b-3-4 2 1 3\n"),
           lambda p: [clip.session for clip in read_clips(p)]),
    Reader("WebDataset", "a.tar", _tar, lambda p: read_webdataset(p.parent, [p.name])),
    Reader("image list", "ids.txt", _text("a.jpg\nb.jpg\n"),
           lambda p: (read_image_list(p), read_image_ids(p))),
    Reader("image, PNG", "a.png", _image("png"), load_image),
    Reader("image, JPEG", "a.jpg", _image("jpeg"), load_image),
    Reader("split", "split.json", SPLIT.save, Split.load),
    Reader("partition", "parts.json", PARTITION.save,
           lambda p: (saved_parts(p), Partition.load(p))),
    Reader("predictions.npz", "p.npz", lambda p: _predictions().save(p), Predictions.load),
    Reader("label table", "t.npz", lambda p: _table().save(p),
           lambda p: LabelTable.load(p).class_counts()),
    Reader("label cache, table", "t.npz", _cache, _cached, refuses=False),
    Reader("label cache, record", "t.json", _cache, _cached, refuses=False),
    Reader("checkpoint", "a.safetensors", _checkpoint,
           lambda p: load_checkpoint(p, torch.nn.Linear(3, 2))),
    Reader("weights, safetensors", "w.safetensors",
           lambda p: save_file(torch.nn.Linear(3, 2).state_dict(), p), read_tensors),
    Reader("weights, PyTorch", "w.pt", lambda p: torch.save(torch.nn.Linear(3, 2).state_dict(), p),
           read_tensors),
    Reader("training state", "training_state.pt", _state, _load_state),
    Reader("history", "metrics.jsonl", _history, _read_history, refuses=False),
    Reader("environment", "environment.json", _environment, _environment, refuses=False),
    Reader("digests of the data", "data.json", _text('{"training": "12ab", "test": "34cd"}'),
           lambda p: RunFolder(p.parent).read_data()),
    Reader("report: configuration", "config.yaml", _run_file(_config), _load_run),
    Reader("report: history", "metrics.jsonl", _run_file(_history), _load_run, refuses=False),
    Reader("report: metrics", "metrics.json",
           _run_file(_text('{"limits": {"head": 20, "tail": 10}, "mAP": {"total": 0.5}}')),
           _load_run),
    Reader("report: decision", "last.decision.json", _run_file(_text(json.dumps(DECISION))),
           _load_run),
    Reader("report: handed over", "handed_over.json", _run_file(_text('{"model": "Linear"}')),
           _load_run),
    Reader("scores, CSV", "scores.csv", _truth_table, _scores),
    Reader("truth, CSV", "truth.csv", _truth_beside_scores, _truth),
]  # fmt: skip
