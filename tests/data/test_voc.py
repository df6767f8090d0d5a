"""read_voc on trees of the VOC layout, right and wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.data import read_voc
from mlt.data.published import VOC_CLASSES
from mlt.errors import DataError, MissingFileError


def annotation(*objects: str, filename: str | None = None) -> str:
    """XML of an image; an object is its class name, or "name!" if it is difficult."""
    parts = [] if filename is None else [f"<filename>{filename}</filename>"]
    for name in objects:
        difficult = int(name.endswith("!"))
        parts.append(
            f"<object><name>{name.rstrip('!')}</name><pose>Left</pose>"
            f"<difficult>{difficult}</difficult><bndbox><xmin>1</xmin></bndbox>"
            "<part><name>head</name><bndbox><xmin>2</xmin></bndbox></part></object>"
        )
    return f"<annotation><folder>VOC2012</folder>{''.join(parts)}</annotation>\n"


def write_voc(
    root: Path, images: dict[str, str], image_set: str | None = "trainval", name: str = "VOC2012"
) -> Path:
    """A VOC folder of these XML files; ``image_set`` None leaves ImageSets out."""
    folder = root / name
    (folder / "Annotations").mkdir(parents=True)
    for image_id, text in images.items():
        (folder / "Annotations" / f"{image_id}.xml").write_text(text)
    if image_set is not None:
        lists = folder / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (lists / f"{image_set}.txt").write_text("".join(f"{i}\n" for i in images))
    return folder


def test_order_classes_and_paths(tmp_path: Path) -> None:
    images = {
        "2008_000003": annotation("train", "person", "person", filename="2008_000003.jpg"),
        "2008_000002": annotation("tvmonitor"),
        "2008_000001": annotation(filename="2008_000001.png"),
    }
    folder = write_voc(tmp_path, images)
    table = read_voc(tmp_path)
    assert list(table.image_ids) == list(images)
    assert table.class_names == VOC_CLASSES and len(VOC_CLASSES) == 20
    assert [np.flatnonzero(row).tolist() for row in table.targets([0, 1, 2])] == [
        [14, 18],
        [19],
        [],
    ]
    assert table.paths[0] == "JPEGImages/2008_000003.jpg"
    assert table.paths[2] == "JPEGImages/2008_000001.png"
    assert table.image_path(1) == folder / "JPEGImages" / "2008_000002.jpg"


def test_where_the_folder_may_be(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOCdevkit", {"b": annotation("cat")}, "test", "VOC2007")
    for root in (tmp_path, tmp_path / "VOCdevkit", tmp_path / "VOCdevkit" / "VOC2007"):
        assert list(read_voc(root, "VOC2007", "test").image_ids) == ["b"]


def test_difficult_objects(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": annotation("cat!", "dog"), "b": annotation("cat", "cat!")})
    assert read_voc(tmp_path).labels.sum() == 3
    table = read_voc(tmp_path, include_difficult=False)
    assert table.labels.indices.tolist() == [VOC_CLASSES.index("dog"), VOC_CLASSES.index("cat")]


def test_other_classes(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": annotation("zebra", " ant "), "b": annotation("bee")})
    assert read_voc(tmp_path, class_names=None).class_names == ("ant", "bee", "zebra")
    given = read_voc(tmp_path, class_names=["zebra", "bee", "ant", "cow"])
    assert given.targets([0]).tolist() == [[1, 0, 1, 0]]
    with pytest.raises(DataError, match=r"a\.xml has an object of class 'ant', .* 20 class names"):
        read_voc(tmp_path)


def test_without_image_sets_all_files_are_read(tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.WARNING, logger="mlt")
    write_voc(tmp_path, {"b": annotation("cat"), "a": annotation("dog")}, image_set=None)
    assert list(read_voc(tmp_path).image_ids) == ["a", "b"]
    assert "trainval.txt does not exist: taking all 2 annotated images" in caplog.text


def test_the_list_of_one_class_has_a_second_column(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": annotation("cat"), "b": annotation("dog")})
    (folder / "ImageSets/Main/cat_trainval.txt").write_text("b -1\na  1\n\n")
    assert list(read_voc(tmp_path, image_set="cat_trainval").image_ids) == ["b", "a"]
    with pytest.raises(MissingFileError, match=r"no image set 'val' in .*; there are trainval$"):
        read_voc(tmp_path, image_set="val")


def test_missing_parts(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no VOC2012 in .*: expected .*Annotations"):
        read_voc(tmp_path)
    folder = write_voc(tmp_path, {"a": annotation("cat")})
    (folder / "Annotations" / "a.xml").unlink()
    with pytest.raises(MissingFileError, match=r"lists a, but there is no .*a\.xml"):
        read_voc(tmp_path)


LAUGHS = """<!DOCTYPE a [<!ENTITY x0 "ha">{}]><annotation><filename>&x20;</filename></annotation>"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", r"a\.xml cannot be read as an annotation: no element|unclosed"),
        ("", r"a\.xml cannot be read"),
        ("<annotation><object><name> </name></object></annotation>", "an object without a name"),
        ("<!DOCTYPE annotation><annotation/>", "declares a document type"),
        ("<foo/>", r"a\.xml is not an annotation: its outermost element is <foo>"),
        ("<html><object><name>cat</name></object></html>", "outermost element is <html>"),
        ("<annotation><Object><name>cat</name></Object></annotation>", "a <Object>, which"),
        (
            "<annotation><objects><object><name>cat</name></object></objects></annotation>",
            "has a <object>, which is not read: objects are <object> elements directly inside",
        ),
        (
            LAUGHS.format("".join(f'<!ENTITY x{i + 1} "&x{i};&x{i};">' for i in range(20))),
            "declares a document type",
        ),
        (
            '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><annotation>&f;</annotation>',
            "declares a document type",
        ),
    ],
)
def test_broken_and_malicious_files(tmp_path: Path, text: str, message: str) -> None:
    write_voc(tmp_path, {"a": text})
    with pytest.raises(DataError, match=message):
        read_voc(tmp_path)
