"""Image files of every kind of wrong, and the same picture twice."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlt.data.images import load_image
from mlt.data.labels import LabelTable
from mlt.errors import DataError, UserError
from mlt.inspection import inspect_data
from mlt.inspection.duplicates import same_pictures
from mlt.inspection.pictures import look_at_pictures

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One good picture, and one of each kind that is not."""
    noise = Image.fromarray(NOISE)
    noise.save(tmp_path / "good.jpg")
    noise.convert("L").save(tmp_path / "grey.png")
    noise.convert("CMYK").save(tmp_path / "cmyk.jpg")
    noise.convert("RGBA").save(tmp_path / "alpha.png")
    noise.convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    noise.crop((0, 0, 31, 64)).save(tmp_path / "tiny.png")
    noise.resize((330, 66)).save(tmp_path / "long.png")
    noise.resize((264, 66)).save(tmp_path / "wide.png")  # four times as wide: not yet extreme
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:900])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_text("<html>404 not found</html>")
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def table_of(folder: Path, files: list[str], labels: list[list[int]] | None = None) -> LabelTable:
    """A table of these files."""
    labels = labels or [[0]] * len(files)
    return LabelTable.from_lists(range(len(files)), files, ["cat", "dog"], labels, folder)


def readable(file: Path) -> bool:
    """Whether training can read it."""
    try:
        load_image(file)
    except UserError:
        return False
    return True


def test_every_kind_of_picture(folder: Path) -> None:
    files = sorted(path.name for path in folder.iterdir())
    found = look_at_pictures(table_of(folder, [*files, "absent.jpg"]), None)
    assert found is not None
    assert (found.images, found.missing) == (15, 2)
    assert found.missing_files == ("folder.jpg", "absent.jpg")
    assert found.decoded == 13
    assert found.rule == "all of them were decoded"
    assert set(found.broken) == {"cut.jpg", "cut.png", "empty.jpg", "page.jpg"}
    assert "the file is empty" in found.broken["empty.jpg"]
    assert "not an image of a known format" in found.broken["page.jpg"]
    assert found.tiny == {"tiny.png": "31 x 64"}
    assert found.extreme == {"long.png": "330 x 66"}
    assert found.odd_modes == {
        "alpha.png": "RGBA", "cmyk.jpg": "CMYK", "deep.png": "I;16", "palette.gif": "P",
    }  # fmt: skip
    assert found.modes == {"CMYK": 1, "I;16": 1, "L": 1, "P": 1, "RGB": 4, "RGBA": 1}
    assert found.shorter_side == (31, 64, 66)


def test_broken_is_what_training_could_not_read(folder: Path) -> None:
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    found = look_at_pictures(table_of(folder, files), None)
    assert found is not None
    assert set(found.broken) == {file for file in files if not readable(folder / file)}


def test_a_sample_is_evenly_spaced_and_says_so(folder: Path) -> None:
    files = ["good.jpg", "empty.jpg", "grey.png", "page.jpg", "wide.png"]
    found = look_at_pictures(table_of(folder, files), 3)
    assert found is not None
    assert (found.decoded, found.missing) == (3, 0)
    assert found.broken == {}  # every second
    assert found.rule == "3 of them were decoded, evenly spaced over the part"


def test_missing_pictures_do_not_stop_the_counting(folder: Path) -> None:
    table = table_of(folder / "elsewhere", ["a.jpg", "b.jpg"])
    found = inspect_data({"train": table, "test": table})
    assert found.parts["train"].class_counts == {"cat": 2, "dog": 0}
    assert found.pictures["train"].missing == 2
    texts = [advice.text for advice in found.advice if advice.kind == "fix"]
    assert any(text.startswith("Of 2 training pictures, 2 are not there") for text in texts)
    # They are the same files, which can be known without them.
    assert any(text.startswith("2 pictures are in more than one of the parts") for text in texts)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    found = look_at_pictures(table_of(tmp_path, ["a.png"]), None)
    assert found is not None and found.broken == {
        "a.png": "it is not a file but a pipe or a device"
    }


def test_data_that_loads_its_own_images_has_no_files() -> None:
    table = table_of(Path(), ["a"])
    own = LabelTable(table.image_ids, None, table.class_names, table.labels)
    found = inspect_data({"train": own})
    assert (found.pictures, found.same_pictures) == ({}, ())


class Archive:
    """Pictures that are not files: a row is read by its name."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content

    def read(self, path: str) -> bytes:
        """The picture of a row."""
        return self.content[path]


def test_pictures_of_an_archive(folder: Path) -> None:
    names = ("good.jpg", "cut.jpg", "tiny.png")
    archive = Archive({name: (folder / name).read_bytes() for name in names})
    archive.content["again"] = archive.content["good.jpg"]
    files = [*names, "again"]
    table = LabelTable.from_lists(range(4), files, ["cat"], [[0], [0], [0], []], images=archive)
    found = inspect_data({"train": table})
    looked = found.pictures["train"]
    assert (looked.missing, list(looked.broken), list(looked.tiny)) == (
        0,
        ["cut.jpg"],
        ["tiny.png"],
    )
    assert [[place.file for place in places] for places in found.same_pictures or ()] == [
        ["good.jpg", "again"]
    ]
    assert [suspect.disagreed for suspect in found.suspects] == [("cat",)]


def test_the_same_content_within_and_between_parts(folder: Path) -> None:
    (folder / "copy.jpg").write_bytes((folder / "good.jpg").read_bytes())
    same_size = bytearray((folder / "good.jpg").read_bytes())
    same_size[-30] ^= 1
    (folder / "almost.jpg").write_bytes(same_size)
    train = table_of(folder, ["good.jpg", "copy.jpg", "almost.jpg", "grey.png"])
    test = table_of(folder, ["./grey.png", "wide.png"])
    groups = same_pictures({"train": train, "test": test})
    assert [[(place.part, place.file) for place in places] for places in groups] == [
        [("train", "good.jpg"), ("train", "copy.jpg")],
        [("train", "grey.png"), ("test", "./grey.png")],
    ]


def test_pictures_that_look_the_same(folder: Path) -> None:
    smooth = Image.fromarray(NOISE[:6, :6]).resize((200, 200), Image.Resampling.BICUBIC)
    smooth.save(folder / "large.png")
    smooth.resize((90, 90)).save(folder / "small.jpg")
    (folder / "copy.png").write_bytes((folder / "large.png").read_bytes())
    train = table_of(folder, ["large.png", "copy.png", "good.jpg", "empty.jpg"])
    test = table_of(folder, ["small.jpg", "absent.jpg"])
    found = inspect_data({"train": train, "test": test}, near=True)
    assert [[place.file for place in places] for places in found.similar_pictures or ()] == [
        ["large.png", "copy.png", "small.jpg"]
    ]
    said = "look the same though their files differ: 1 times, 1 of them across parts"
    assert any(said in advice.text for advice in found.advice)
    # The two that are equal are said to be so, and not again.
    assert inspect_data({"train": train}, near=True).similar_pictures == ()
    assert inspect_data({"train": train}).similar_pictures is None


def test_empty_files_are_broken_and_not_equal(folder: Path) -> None:
    (folder / "empty2.jpg").write_bytes(b"")
    assert same_pictures({"train": table_of(folder, ["empty.jpg", "empty2.jpg"])}) == ()


def test_the_same_picture_with_other_labels(folder: Path) -> None:
    for copy in ("copy.jpg", "copy2.jpg"):
        (folder / copy).write_bytes((folder / "good.jpg").read_bytes())
    train = table_of(folder, ["good.jpg", "copy.jpg"], [[0], [0, 1]])
    test = table_of(folder, ["copy2.jpg"], [[0]])
    (suspect,) = inspect_data({"train": train, "test": test}).suspects
    assert [place.file for place in suspect.images] == ["good.jpg", "copy.jpg", "copy2.jpg"]
    assert suspect.disagreed == ("dog",)


def test_what_nobody_said_contradicts_nothing(folder: Path) -> None:
    (folder / "copy.jpg").write_bytes((folder / "good.jpg").read_bytes())
    table = LabelTable.from_lists(
        range(2), ["good.jpg", "copy.jpg"], ["cat", "dog"], [[0], [0, 1]], folder, [[0], [0, 1]]
    )
    assert inspect_data({"train": table}).suspects == ()


class Stored:
    """Pictures that are not files, by their names."""

    def __init__(self, folder: Path) -> None:
        self.content = {path.name: path.read_bytes() for path in folder.glob("*.*g")}

    def read(self, path: str) -> bytes:
        if path == "lost.png":
            raise DataError("The image lost.png cannot be read: gone.")
        return self.content[path]


def test_pictures_that_are_not_files(folder: Path) -> None:
    (folder / "folder.jpg").rmdir()
    reader = Stored(folder)
    files = [*sorted(reader.content), "lost.png"]
    of_files = look_at_pictures(table_of(folder, files[:-1]), None)
    table = replace(table_of(Path("away"), files), images=reader)
    found = look_at_pictures(table, None)
    assert found is not None and of_files is not None
    assert (found.missing, found.decoded) == (0, len(files))
    assert set(found.broken) == {*of_files.broken, "lost.png"}
    assert (found.tiny, found.extreme) == (of_files.tiny, of_files.extreme)
    assert (found.odd_modes, found.modes) == (of_files.odd_modes, of_files.modes)
    twice = {"train": table, "test": replace(table.take([0]), root=Path("elsewhere"))}
    (group,) = same_pictures(twice)
    assert [(place.part, place.file) for place in group] == [
        ("train", files[0]),
        ("test", files[0]),
    ]
