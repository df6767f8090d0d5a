"""EGTEA Gaze+, on made-up files of its exact formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from one_label_files import (
    ACTIONS,
    TEST,
    TRAIN,
    VERBS,
    session,
    write_egtea,
    write_egtea_lists,
    write_image,
)

from mlt.config.load import parse_data
from mlt.data.formats.egtea import read_clips
from mlt.data.one_label import exactly_one_label, true_classes
from mlt.data.run_data import Data, load_data
from mlt.errors import ConfigError, DataError, MissingFileError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of the made-up data."""
    return write_egtea(tmp_path)


def load(root: Path, **values: Any) -> Data:
    return load_data(parse_data({"name": "egtea", "root": str(root), **values}))


def labels(data: Data, part: str) -> list[str]:
    table = getattr(data, part)
    return [table.class_names[c] for c in true_classes(table)]


def test_verbs_of_the_first_split(root: Path) -> None:
    data = load(root)
    assert data.train.class_names == data.test.class_names == VERBS
    assert labels(data, "train") == ["Take", "Divide/Pull Apart", "Take"]
    assert labels(data, "test") == ["Put"]
    assert exactly_one_label(data.train) and exactly_one_label(data.test)
    assert list(data.train.image_ids) == [*TRAIN]
    # The frame in the middle, by number and not by text.
    assert [path.rpartition("/")[2] for path in data.train.paths or ()] == ["6.jpg"] * 3
    notes = "\n".join(data.notes)
    assert "3 images read, but the published data has 8,299" in notes
    assert "1 images read, but the published data has 2,022" in notes
    assert "3 classes, but the published data has 19" in notes


def test_actions_and_other_splits(root: Path) -> None:
    data = load(root, official_split=2, label="action")
    assert data.train.class_names == ACTIONS
    assert labels(data, "train") == ["Divide/Pull Apart lettuce"]
    assert labels(data, "test") == [ACTIONS[0], ACTIONS[2], ACTIONS[3]]
    with pytest.raises(MissingFileError, match=r"train_split3\.txt"):
        load(root, official_split=3)
    with pytest.raises(ConfigError, match="official_split"):
        load(root, official_split=4)


def test_several_frames_are_for_training_alone(root: Path) -> None:
    data = load(root, frames=3)
    assert len(data.train) == 9 and len(data.test) == 1
    first = [path.rpartition("/")[2] for path in data.train.paths or ()][:3]
    assert first == ["2.jpg", "6.jpg", "10.jpg"]
    assert data.train.image_ids[0] == f"{next(iter(TRAIN))}/2"
    assert labels(data, "train")[:4] == ["Take"] * 3 + ["Divide/Pull Apart"]
    assert len(load(root, frames=99).train) == 33


def test_recordings_stay_whole(root: Path) -> None:
    data = load(root, validation={"fraction": 0.3})
    assert data.validation is not None
    of_train, of_validation = set(data.train.groups or ()), set(data.validation.groups or ())
    assert of_train.isdisjoint(of_validation)
    assert of_train | of_validation == {"OP01-R01-PastaSalad", "P20-R03-BaconAndEggs"}


@pytest.mark.parametrize("form", ["{session}/{clip}.jpg", "{clip}.png", "{clip}/1.jpg"])
@pytest.mark.parametrize("folder", ["frames/", ""])
def test_where_frames_may_lie(tmp_path: Path, form: str, folder: str) -> None:
    write_egtea_lists(tmp_path)
    for clip in (*TRAIN, *TEST):
        write_image(tmp_path / (folder + form.format(session=session(clip), clip=clip)))
    data = load(tmp_path)
    assert all(data.train.image_path(row).is_file() for row in range(3))
    assert labels(data, "train") == ["Take", "Divide/Pull Apart", "Take"]


def test_lists_of_frames(tmp_path: Path) -> None:
    write_egtea_lists(tmp_path)
    (tmp_path / "train.txt").write_text("OP01-R01-PastaSalad-a/5.jpg 1 1 2\nx/6.jpg 2 2 2\n")
    (tmp_path / "test.txt").write_text("x/7.jpg 2 2 2\n")
    for path in ("OP01-R01-PastaSalad-a/5.jpg", "x/6.jpg", "x/7.jpg"):
        write_image(tmp_path / "frames" / path)
    data = load(tmp_path, train="train.txt", test="test.txt")
    assert labels(data, "train") == ["Take", "Put"] and labels(data, "test") == ["Put"]


def test_without_names_verbs_are_numbers(root: Path) -> None:
    (root / "action_annotation/verb_idx.txt").unlink()
    assert load(root).train.class_names == ("1", "2", "3")


def test_clips_without_frames_are_named(root: Path) -> None:
    clip = next(iter(TEST))
    for file in (root / "extracted_frames" / session(clip) / clip).iterdir():
        file.unlink()
    with pytest.raises(MissingFileError, match=f"1 of 1 clips have no frame .*{clip}.*ffmpeg -i"):
        load(root)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("clip\n", "line 1: expected a clip"),
        ("clip 1\n", "line 1"),
        ("clip 0 1\n", "line 1"),
        ("clip take put\n", "line 1"),
        ("clip 1 1\nclip 2 2\n", "line 2: the clip clip is listed already"),
        ("\n", "lists no clip"),
    ],
)
def test_lists_that_are_not_right_are_refused(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "list.txt").write_text(line)
    with pytest.raises(DataError, match=rf"list\.txt.*{complaint}"):
        read_clips(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("Take 1\nPut 1\n", "its own number"),
        ("Take 1\nPut 3\n", "1 to 2, each once"),
        ("Take\n", "its own number"),
        ("Take 1\n", "has the verb 3, but there are 1"),
    ],
)
def test_names_that_are_not_right_are_refused(root: Path, content: str, complaint: str) -> None:
    (root / "action_annotation/verb_idx.txt").write_text(content)
    with pytest.raises(DataError, match=complaint):
        load(root)
