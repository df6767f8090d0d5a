"""What fuzzing has found, one by one: each of these ended in another exception than `UserError`."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from readers import COCO

from mlt.config.yaml_text import parse_yaml
from mlt.data import Partition, Split, read_coco, read_csv, read_voc
from mlt.data.splits.partition import saved_parts
from mlt.data.transforms import Preprocessing
from mlt.detection import evaluate_coco
from mlt.errors import CheckpointError, ConfigError, DataError
from mlt.predictions import Predictions
from mlt.report.runs import load_run

NOT_UTF8 = b'{"a\xa2": 1}'
NESTED = b"[" * 5_000
PACKED = gzip.compress(b"path,labels\na.jpg,c\xff\n", mtime=0)  # the same in each process


@pytest.mark.parametrize("content", [NOT_UTF8, b'{"a": ' + NESTED])
def test_json_that_cannot_be_decoded(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"a.json is not JSON"):
        read_coco(file, ".")
    with pytest.raises(DataError, match=r"a.json is not a split"):
        Split.load(file)
    with pytest.raises(DataError, match=r"a.json is not a split into parts"):
        Partition.load(file)
    assert saved_parts(file) == ()


@pytest.mark.parametrize("content", [b"[" + NOT_UTF8 + b"]", NESTED])
def test_results_that_cannot_be_decoded(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataError, match=r"r.json is not JSON"):
        evaluate_coco(COCO, tmp_path / "r.json")


def test_a_key_of_every_record_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"path": "a.jpg", "labels\x92": ["cat"]}\n')
    with pytest.raises(DataError, match=r"a.jsonl, line 1 is not a JSON object"):
        read_csv(file, ".")


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_records_that_are_nested_without_end(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    file.write_bytes(b'{"path": ' + NESTED)
    with pytest.raises(DataError, match="is not"):
        read_csv(file, ".")


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [1, 2, [], 4]},
        {"bbox": "abcd"},
        {"image_id": []},
        {"category_id": []},
        {"score": [0.5]},
        {"score": 10**400},
    ],
    ids=str,
)
def test_detections_with_values_of_the_wrong_kind(change: dict[str, Any]) -> None:
    detection = {"image_id": 1, "category_id": 10, "bbox": [1, 2, 3, 4], "score": 0.5}
    with pytest.raises(DataError, match="Detection 0"):
        evaluate_coco(COCO, [detection | change])


@pytest.mark.parametrize("content", [PACKED[:-8] + b"\0" * 8, PACKED[:-2]])
def test_packed_tables_that_are_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a.csv.gz(, line 2 is not UTF-8| cannot be unpacked)"):
        read_csv(tmp_path / "a.csv.gz", ".")


@pytest.mark.parametrize("damage", ["footer", "name", "cell"])
def test_parquet_that_is_damaged(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"path": ["a.jpg"], "labels": ["catfish"]}), file)
    content = bytearray(file.read_bytes())
    if damage == "footer":
        size = int.from_bytes(content[-8:-4], "little")
        content[-8 - size : -8] = b"\xff" * size
    else:
        old, new = (b"labels", b"lab\xbbls") if damage == "name" else (b"catfish", b"cat\xbbish")
        content = content.replace(old, new)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"a.parquet is .*damaged"):
        read_csv(file, ".")


def test_lists_of_voc_classes_that_are_not_utf8(tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (tmp_path / "JPEGImages").mkdir()
    (lists / "cat_train.txt").write_bytes(b"caf\xe9 1\n")
    with pytest.raises(DataError, match=r"cat_train.txt is not UTF-8"):
        read_voc(tmp_path, ".", "train", class_names=None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", b'{"limits": {"head": {}, "tail": 10}}', "limits of head and tail"),
        ("metrics.json", b'{"limits": [1]}', "limits of head and tail"),
        ("metrics.json", b'{"limits": {"\\ud800": 1, "head": 0.5}}', "limits of head and tail"),
        ("metrics.json", NESTED, "metrics.json is damaged"),
        ("last.decision.json", NESTED, "last.decision.json is damaged"),
        ("config.yaml", b"data: coco\n", "config.yaml does not hold what a run writes there"),
        ("config.yaml", b"evaluation: {head: x}\n", "limits of head and tail"),
    ],
)
def test_reports_of_runs_with_odd_files(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    predictions = Predictions.from_arrays([[0.5], [1.5]], [[0], [1]], class_counts=[3])
    predictions.save(tmp_path / "predictions.npz")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        assert load_run(tmp_path).watches_validation is None


def test_what_is_no_array_in_an_npz(tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    Predictions.from_arrays([[0.5], [1.5]], [[0], [1]]).save(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("class_counts.npy", b"")
    with pytest.raises(DataError, match=r"p.npz is damaged or not an npz file \(class_counts"):
        Predictions.load(file)


def test_yaml_that_is_nested_without_end() -> None:
    with pytest.raises(ConfigError, match="line 2: more than 100 levels"):
        parse_yaml("loss:\n  name: " + "[" * 3000)
    assert parse_yaml("[" * 90 + "]" * 90)


def test_half_a_character() -> None:
    with pytest.raises(CheckpointError, match="makes no sense"):
        Preprocessing.from_dict({"size": "\ud800", "mean": [0, 0, 0], "std": [1, 1, 1]})
    with pytest.raises(DataError, match="is not like a COCO"):
        read_coco(COCO | {"\ud800": 1}, ".")
