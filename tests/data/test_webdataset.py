"""WebDataset shards: real tar files, whole, damaged and hostile."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import TypeAdapter

from mlt.data import LabelTable
from mlt.data.formats.tar_shards import find_shards, list_members
from mlt.data.row_images import row_bytes, row_image
from mlt.data.same_files import count_shared
from mlt.data.settings import DataConfig
from mlt.errors import DataError, MissingFileError

NAMES = ["cat", "dog", "ox"]
LABELS = [["cat"], ["ox", "cat"], [], ["dog", "cat"]]
TARGETS = [[1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]]


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (6, 4), grey).save(file, "PNG")
    return file.getvalue()


def shard(file: Path, members: dict[str, bytes | str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            content = content if isinstance(content, bytes) else content.encode()
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return file


def write(root: Path, labels: list[Any], extension: str = "json") -> None:
    """Two shards of two samples each for training, and one of all for testing."""
    text = [json.dumps(v) if extension == "json" else str(v) for v in labels]
    members: list[tuple[str, bytes | str]] = []
    for row, value in enumerate(text):
        members += [(f"{row:04}.png", png(row)), (f"{row:04}.{extension}", value)]
    shard(root / "train-000.tar", dict(members[:4]))
    shard(root / "train-001.tar", dict(members[4:]))
    shard(root / "test.tar", dict(members))


def read(root: Path, part: str = "train", cache: Path | None = None, **changes: Any) -> LabelTable:
    settings = {"train": "train-{000..001}.tar", "test": "test.tar", **changes}
    values = {"name": "webdataset", "root": str(root), **settings}
    source = TypeAdapter(DataConfig).validate_python(values).source(cache)
    return source.train() if part == "train" else source.test(source.train().class_names)


@pytest.mark.parametrize(
    ("extension", "labels", "settings"),
    [
        ("json", [{"labels": value} for value in LABELS], {}),
        ("json", [{"tags": value, "id": 1} for value in LABELS], {"labels_key": "tags"}),
        ("json", LABELS, {}),
        ("json", [[NAMES.index(n) for n in v] for v in LABELS], {"class_names": NAMES}),
        ("json", TARGETS, {"class_names": NAMES, "multi_hot": True}),
        ("json", [[bool(t) for t in row] for row in TARGETS], {"class_names": NAMES}),
        ("txt", ["\n".join(value) + "\n" for value in LABELS], {}),
        ("txt", [", ".join(value) for value in LABELS], {"separator": ","}),
        ("cls", ["0", "2 0", "", "1,0"], {"class_names": NAMES}),
        ("Tags.TXT", ["\n".join(value) for value in LABELS], {"labels_extension": "tags.txt"}),
    ],
)
def test_labels_in_every_form(
    tmp_path: Path, extension: str, labels: Any, settings: dict[str, Any]
) -> None:
    write(tmp_path, labels, extension)
    train, test = read(tmp_path, **settings), read(tmp_path, "test", **settings)
    assert train.class_names == test.class_names == tuple(NAMES)
    assert train.targets(range(4)).tolist() == test.targets(range(4)).tolist() == TARGETS
    assert train.known is None and train.notes == ()
    assert list(train.image_ids) == ["0000", "0001", "0002", "0003"]
    sent = pickle.loads(pickle.dumps(train.take([3, 1])))  # noqa: S301
    assert [row_image(sent, row).getpixel((0, 0)) for row in (0, 1)] == [(3, 3, 3), (1, 1, 1)]
    assert row_bytes(train, 2) == png(2)


def test_the_index_is_kept_and_made_anew_when_a_shard_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, LABELS)
    first = read(tmp_path, cache=tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr("mlt.data.formats.webdataset.list_members", None)
        again = read(tmp_path, cache=tmp_path / "cache")
    assert again.digest() == first.digest()
    assert row_image(again, 3).getpixel((0, 0)) == (3, 3, 3)
    old = (tmp_path / "train-001.tar").stat()
    other = {"0002.png": png(2), "0002.json": '["ox"]', "0003.png": png(9), "0003.json": '["ox"]'}
    shard(tmp_path / "train-001.tar", other)
    assert (tmp_path / "train-001.tar").stat().st_size == old.st_size
    os.utime(tmp_path / "train-001.tar", ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    changed = read(tmp_path, cache=tmp_path / "cache")
    assert changed.targets([2, 3]).tolist() == [[0, 1], [0, 1]]
    assert row_image(changed, 3).getpixel((0, 0)) == (9, 9, 9)


def test_samples_without_labels_or_image(tmp_path: Path) -> None:
    members = {"a.png": png(1), "b.png": png(2), "b.json": '["cat"]', "c.json": '["cat"]',
               "d.png": png(4), "d.json": "null"}  # fmt: skip
    shard(tmp_path / "train.tar", members)
    table = read(tmp_path, train="train.tar")
    assert list(table.image_ids) == ["a", "b", "d"]
    assert table.known_mask(range(3)).tolist() == [[False], [True], [False]]
    assert table.notes == (
        "2 images have null for labels, taken as unknown for every class (data.blank)",
        "samples without an image, left out: 1 of 4",
    )
    assert read(tmp_path, train="train.tar", blank="negative").known is None


def test_members_in_any_order_folders_and_case(tmp_path: Path) -> None:
    members = {
        "./x/1.JPG": png(1),
        "./y/1.jpg": png(2),
        "./._1.jpg": b"resource fork",
        "__key__": b"",
        "./y/1.seg.png": png(9),
        "./x/1.json": '["cat"]',
        "./y/1.json": '["dog"]',
    }
    shard(tmp_path / "train.tar", members)
    table = read(tmp_path, train="train.tar")
    assert list(table.image_ids) == ["x/1", "y/1"]
    assert table.targets([0, 1]).tolist() == [[1, 0], [0, 1]]
    assert row_bytes(table, 1) == png(2)
    masks = read(tmp_path, train="train.tar", image_extension="seg.png")
    assert list(masks.image_ids) == ["y/1"] and row_bytes(masks, 0) == png(9)


def test_the_same_key_in_two_shards(tmp_path: Path) -> None:
    for number in (0, 1):
        shard(tmp_path / f"train-00{number}.tar", {"a.png": png(number), "a.json": '["cat"]'})
    table = read(tmp_path)
    assert list(table.image_ids) == ["train-000/a", "train-001/a"]
    assert row_bytes(table, 1) == png(1)


def test_paths_and_links_in_an_archive_are_inert(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(200))
    file = shard(tmp_path / "in" / "train.tar", {"../secret.png": png(5), "../secret.json": "[]"})
    with tarfile.open(file, "a") as archive:
        for name, kind in {"link.png": tarfile.SYMTYPE, "hard.png": tarfile.LNKTYPE}.items():
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, str(outside)
            archive.addfile(about)
        about = tarfile.TarInfo("/etc/other.png")
        about.size = len(png(6))
        archive.addfile(about, io.BytesIO(png(6)))
    table = read(tmp_path / "in", train="train.tar", class_names=["cat"])
    assert list(table.image_ids) == ["../secret", "/etc/other"]
    assert [row_bytes(table, row) for row in (0, 1)] == [png(5), png(6)]
    assert outside.read_bytes() == png(200)


def test_parts_are_cut_out_of_the_shards(tmp_path: Path) -> None:
    members = {}
    for row in range(40):
        members |= {
            f"{row:02}.png": png(row),
            f"{row:02}.json": f'["{"cat" if row % 2 else "ox"}"]',
        }
    shard(tmp_path / "all.tar", members)
    values = {"name": "webdataset", "root": str(tmp_path), "train": ["all.tar"]}
    parts = {"test": {"fraction": 0.25}, "validation": {"fraction": 0.1}}
    source = TypeAdapter(DataConfig).validate_python(values | parts).source(tmp_path / "cache")
    tables = [source.train(), source.validation(), source.test()]
    assert [len(table) for table in tables] == [26, 4, 10]
    for table in tables:
        greys = [row_image(table, row).getpixel((0, 0))[0] for row in range(len(table))]
        assert greys == [int(name) for name in table.image_ids]
    assert count_shared(tables[0], tables[2]) == 0
    assert count_shared(tables[0], read(tmp_path, train="all.tar")) == 26


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "settings", "message"),
    [
        ({"a.json": '{"labels": ["cat"'}, {}, r"train.tar, sample 'a': 'a.json' cannot be read"),
        ({"a.json": '{"tags": []}'}, {}, r"no key 'labels'; its keys are tags. Set data"),
        ({"a.json": '[{"name": "cat"}]'}, {}, r"sample 'a': its labels have a dict; expected a li"),
        ({"a.json": "[[1]]"}, {}, "its labels have a list"),
        ({"a.json": '["cat", 1]'}, {}, "its labels have a number; expected"),
        ({"a.json": "[true, 1]"}, {"class_names": ["x", "y"]}, "do not go together"),
        ({"a.json": "[18446744073709551616]"}, {}, "do not go together"),
        ({"a.json": "[" * 100_000}, {}, "'a.json' cannot be read"),
        ({"a.json": "[3]"}, {}, "its labels are numbers; name the classes"),
        ({"a.json": "[3]"}, {"class_names": ["x", "y"]}, r"sample 'a' has the label 3, but"),
        ({"a.cls": "cat"}, {}, "'a.cls' cannot be read: invalid literal"),
        ({"a.txt": b"\xff\xfe"}, {}, "'a.txt' cannot be read: 'utf-8' codec"),
        ({"a.txt": "cat", "a.cls": "1"}, {}, r"labels in txt or in cls. Set data.labels_extension"),
        ({"a.jpg": png(1)}, {}, r"several images: png, jpg. Set data.image_extension"),
        ({"a.PNG": png(1)}, {}, r"sample 'a' has 'a.PNG' twice"),
        ({b"\xff.png".decode("utf-8", "surrogateescape"): b""}, {"class_names": ["x"]}, "Unicode"),
    ],
)  # fmt: skip
def test_damaged_labels_name_shard_and_sample(
    tmp_path: Path, members: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    shard(tmp_path / "train.tar", {"a.png": png(0), **members})
    with pytest.raises(DataError, match=message):
        read(tmp_path, train="train.tar", **settings)


def test_damaged_and_compressed_shards(tmp_path: Path) -> None:
    write(tmp_path, LABELS)
    file, whole = tmp_path / "train-001.tar", (tmp_path / "train-001.tar").read_bytes()
    table = read(tmp_path)
    for content in (b"", b"not a tar file" * 100, whole[:600], whole[:1000], whole[512:]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"train-001.tar cannot be read as a tar file: "):
            read(tmp_path)
    for message, content in {
        "is cut off": whole[:550], "is not an image": bytes(len(whole))
    }.items():  # fmt: skip
        file.write_bytes(content)  # after it was indexed
        with pytest.raises(DataError, match=message):
            row_image(table, 2)
    file.unlink()
    with pytest.raises(MissingFileError, match=r"The shard of the image .*train-001.tar, is abs"):
        row_image(table, 2)
    file.write_bytes(gzip.compress(whole))
    with pytest.raises(DataError, match=r"it is compressed \(gzip\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            "train-{000..002}.tar",
            r"data.train: there is no shard .*train-002.tar, which 'tr",
        ),
        ("valid-*.tar", r"data.train: there is no shard .*valid-\*.tar"),
        ("{0..9999999}.tar", "no shard .*/0.tar"),
        ("{1,2}{0..9999999}", "no shard"),
    ],
)
def test_shards_that_are_not_there(tmp_path: Path, pattern: str, message: str) -> None:
    write(tmp_path, LABELS)
    with pytest.raises(MissingFileError, match=message):
        read(tmp_path, train=pattern)


def test_patterns(tmp_path: Path) -> None:
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "b/x.tar", "b/{1..2}.tar.tar"):
        shard(tmp_path / name, {})
    assert find_shards(tmp_path, ["a-{08..10}.tar"]) == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert find_shards(tmp_path, ["a-{8..10}.tar".replace("8", "10")]) == ["a-10.tar"]
    assert find_shards(tmp_path, ["{a-1?,b/x}.tar", "a-10.tar"]) == ["a-10.tar", "b/x.tar"]
    assert find_shards(tmp_path, ["**/x.tar"]) == ["b/x.tar"]
    assert list(list_members(tmp_path / "a-08.tar")) == []


def test_an_empty_shard_has_no_image(tmp_path: Path) -> None:
    write(tmp_path, LABELS)
    shard(tmp_path / "none.tar", {})
    config = TypeAdapter(DataConfig).validate_python(
        {"name": "webdataset", "root": str(tmp_path), "train": "none.tar", "test": "test.tar"}
    )
    source = config.source()
    with pytest.raises(DataError, match="there is no training image"):
        source.check(source.train(), "training")
