"""Damaged bytes in each file that is read back: a small part of `benchmarks/damage.py`."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from damage import outcomes, prepare, readings

from mlt.config import load_config
from mlt.data import Partition, Split
from mlt.data.digits import write_digits
from mlt.data.splits.partition import ImagesOfPart
from mlt.engine.train import train
from mlt.errors import DataError
from mlt.files import read_json_object, write_json_object
from mlt.report.runs import load_run
from mlt.run_folder import RunFolder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "work"
    prepare(folder)
    return folder


@pytest.mark.slow
def test_nothing_is_silently_wrong(work: Path) -> None:
    found = {}
    for reading in readings(work):
        counts = Counter(outcomes(work, reading, 2 if reading.slow else 12))
        found[reading.file, reading.reader] = counts
    for counts in found.values():
        assert not counts["silent"] and not counts["traceback"], found
    assert found["run/training_state.pt", "train --resume"] == {"recovered": 2}
    assert found["run/config.yaml", "train --resume"] == {"refused": 2}
    assert found["run/metrics.jsonl", "report, compare"]["warned"] > 8


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.mark.parametrize("key", ["sha56", "Sha256", ""])
def test_a_digest_whose_name_is_damaged_is_found(
    run: RunFolder, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    edit(run.history, '"sha256"', f'"{key}"')
    assert 1 not in [record["epoch"] for record in run.read_history()]
    assert "line 1 is left out" in caplog.text
    edit(run.data, '"sha256"', f'"{key}"')
    with pytest.raises(DataError, match="is damaged, or was changed by hand"):
        read_json_object(run.data)


def test_resuming_refuses_a_configuration_that_is_not_the_runs(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    edit(run.config, "lr: 0.003", "lr: 0.007")
    config = load_config(run.config, [f"output={run.path}"])
    assert "is not as a run wrote it" in caplog.text  # may be meant, where it is only read
    with pytest.raises(DataError, match=r"config.yaml is not as the run wrote it"):
        train(config, resume=True)
    with pytest.raises(DataError, match=r"config.yaml is not as the run wrote it"):
        load_run(run.path)


def test_a_configuration_without_its_first_line_is_of_its_reader(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    edit(run.config, "lr: 0.003", "lr: 0.007")
    run.config.write_text(run.config.read_text().partition("\n")[2])
    assert load_config(run.config).optimizer.lr == 0.007
    assert load_run(run.path).config["optimizer"]["lr"] == 0.007
    assert not caplog.text


def test_other_line_ends_are_no_damage(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    run.config.write_bytes(b"\xef\xbb\xbf" + run.config.read_bytes().replace(b"\n", b"\r\n"))
    load_config(run.config)
    load_run(run.path)
    assert not caplog.text


def test_a_changed_line_of_the_history_is_left_out_and_said(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    lines = run.history.read_text().splitlines(keepends=True)
    record = json.loads(lines[1])
    record["mAP"]["total"] = 2.0
    lines[1] = json.dumps(record) + "\n"
    run.history.write_text("".join(lines))
    assert run.best_total() <= 1.0
    assert "line 2 is left out: line 2 is damaged" in caplog.text
    run.trim_history(15)
    assert "has no line of epoch 2" in caplog.text
    assert [record["epoch"] for record in run.read_history()] == [1, *range(3, 16)]


def test_a_history_of_an_earlier_version_has_no_digests(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    records = run.read_history()
    run.history.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert run.read_history() == records and not caplog.text


@pytest.mark.parametrize("name", ["metrics.json", "data.json", "environment.json", "split.json"])
def test_json_files_of_a_run_carry_a_digest(run: RunFolder, name: str) -> None:
    file = run.path / name
    stored = json.loads(file.read_text())
    stored["version"] = 7
    file.write_text(json.dumps(stored))
    with pytest.raises(DataError, match="damaged, or was changed by hand"):
        read_json_object(file)
    del stored["sha256"]  # as earlier versions wrote it
    file.write_text(json.dumps(stored))
    assert read_json_object(file) == stored


def test_a_digest_is_of_the_content_and_not_of_its_layout(tmp_path: Path) -> None:
    value = {"b": [1, 0.1, None, "é"], "a": {"10": 1, "9": 2}}
    write_json_object(tmp_path / "a.json", value)
    assert read_json_object(tmp_path / "a.json") == value
    compact = json.dumps(json.loads((tmp_path / "a.json").read_text()), separators=(",", ":"))
    (tmp_path / "a.json").write_text(compact)
    assert read_json_object(tmp_path / "a.json") == value
    assert read_json_object(tmp_path / "absent.json") == {}


@pytest.mark.parametrize("content", [b"[1]", b"\xff{}", b"[" * 100_000, b"{", b""])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a.json is damaged"):
        read_json_object(tmp_path / "a.json")


def test_counts_of_splits_carry_a_digest_too(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    Split("s", (3, 1), ("cat", "dog"), (2, 1), {"name": "by hand"}).save(file)
    edit(file, "by hand", "in hand")
    with pytest.raises(DataError, match="damaged, or was changed by hand"):
        Split.load(file)
    parts = {"train": ImagesOfPart(1, (1, 1), ("a",)), "test": ImagesOfPart(1, (1, 0), ("b",))}
    partition = Partition("p", ("cat", "dog"), parts, {})
    partition.save(file)
    edit(file, "dog", "fog")
    with pytest.raises(DataError, match="damaged, or was changed by hand"):
        Partition.load(file)
    stored = json.loads(file.read_text())
    # Earlier versions had the digest of the ids alone under this key.
    file.write_text(json.dumps(stored | {"sha256": partition.digest()}))
    assert Partition.load(file).class_names == ("cat", "fog")


def test_loggers_json_is_read_with_care(run: RunFolder, tmp_path: Path) -> None:
    run.loggers.write_bytes(b"\xff\xfe{")
    with pytest.raises(DataError, match=r"loggers.json is damaged"):
        train(load_config(run.config, [f"output={run.path}", "training.epochs=16"]), resume=True)


def test_damaged_digits_are_written_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_digits(tmp_path / "digits", train_scenes=8, test_scenes=4)
    scene = root / "train" / "000003.png"
    (root / "notes.txt").write_text("of the user")
    write_digits(root, train_scenes=8, test_scenes=4)
    assert (root / "notes.txt").exists() and not caplog.text
    pixels = scene.read_bytes()
    scene.write_bytes(pixels[:-40] + b"x" + pixels[-39:])
    write_digits(root, train_scenes=8, test_scenes=4)
    assert scene.read_bytes() == pixels and "is damaged; it is written anew" in caplog.text
