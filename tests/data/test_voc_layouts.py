"""VOC as other tools and systems write it: layouts, encodings, names of files, lists of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from mlt.data import read_voc
from mlt.data.labels import LabelTable
from mlt.data.run_data import Data, load_data
from mlt.data.settings import DataConfig
from mlt.errors import DataError, MissingFileError


def xml(*objects: str, filename: str | None = None) -> str:
    parts = [f"<object><name>{name}</name></object>" for name in objects]
    name = "" if filename is None else f"<filename>{filename}</filename>"
    return f"<annotation>{name}{''.join(parts)}</annotation>"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or name)
    return root


def labels(table: LabelTable) -> list[str]:
    rows = (table.labels[[row]].indices for row in range(len(table)))
    return ["|".join(table.class_names[c] for c in row) for row in rows]


def load(root: Path, **values: Any) -> Data:
    values |= {"name": "voc", "root": str(root)}
    return load_data(TypeAdapter(DataConfig).validate_python(values))


def read(root: Path, **options: Any) -> LabelTable:
    return read_voc(root, ".", "train", class_names=None, **options)


HEAD = '<?xml version="1.0" encoding="{}"?>\n'


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (None, "utf-8"),
        (None, "utf-16"),
        ("utf-8", "utf-8"),
        ("utf8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("gbk", "utf-8-sig"),  # the mark is right
        ("utf-16", "utf-8"),  # .NET writes so
        ("utf-16", "utf-16"),
        ("latin-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("GB2312", "gb2312"),
        ("gbk", "gbk"),
        ("Shift_JIS", "shift_jis"),
        ("big5", "big5"),
        ("EUC-KR", "euc-kr"),
        ("KOI8-R", "koi8-r"),
    ],
)
def test_encodings(tmp_path: Path, declared: str | None, written: str) -> None:
    # A name that the encoding has.
    for name in ("猫", "ねこ", "고양이", "кот", "Käfer"):
        try:
            text = (HEAD.format(declared) if declared else "") + xml(name)
            content = text.encode(written)
        except UnicodeEncodeError:
            continue
        write(tmp_path, {"Annotations/a.xml": ""})
        (tmp_path / "Annotations/a.xml").write_bytes(content)
        assert labels(read(tmp_path)) == [name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD.format("klingon") + xml("cat"), r"a\.xml .* the encoding 'klingon', .* not known"),
        (
            HEAD.format("undefined") + xml("cat"),
            "is not in the encoding that it declares: .*undefined",
        ),
        (HEAD.format("hex") + xml("cat"), "the encoding 'hex', which is not known"),
        (HEAD.format("ascii") + xml("Käfer"), "is not in the encoding that it declares: 'ascii'"),
        ("<foo/>", r"a\.xml is not an annotation: its outermost element is <foo>"),
        ("<VOC xmlns='x'/>", "its outermost element is <VOC>, not <annotation>"),
        (
            "<annotation xmlns='x'><a><object/></a></annotation>",
            "a <object>, which is not read: objects are <object> elements directly inside",
        ),
        ("<annotation><object/></annotation>", "an object without a name"),
    ],
)
def test_what_is_no_annotation(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, {"Annotations/a.xml": content})
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_name_spaces_missing_tags_and_line_ends(tmp_path: Path) -> None:
    spaced = (
        '<v:annotation xmlns:v="urn:voc" xmlns:p="urn:part">\r\n<v:object><v:name>\r\n cat\r\n'
        "</v:name><v:difficult>1</v:difficult><p:part><p:name>head</p:name></p:part></v:object>"
        "<v:filename>a.png</v:filename></v:annotation>\r\n"
    )
    default = xml("dog", filename="b.png").replace("<annotation>", '<annotation xmlns="urn:voc">')
    write(tmp_path, {"Annotations/a.xml": spaced, "Annotations/b.xml": default})
    write(tmp_path, {"Annotations/c.xml": "<annotation/>"})
    write(tmp_path, {"ImageSets/Main/train.txt": "\ufeffc\r\n a \r\nb\r\n\r\n"})
    table = read(tmp_path)
    assert table.image_ids.tolist() == ["c", "a", "b"] and labels(table) == ["", "cat", "dog"]
    assert [path.rpartition("/")[2] for path in table.paths or ()] == ["c.jpg", "a.png", "b.png"]
    assert labels(read(tmp_path, include_difficult=False)) == ["", "", "dog"]


@pytest.mark.parametrize(
    "lines",
    [
        ["my photo 1", "b"],
        ["my photo 1 -1", "b  1"],
        ["my photo 1.jpg", "b.png"],
        ["JPEGImages/my photo 1.jpg", "./JPEGImages/b.JPG"],
        ["my photo 1.xml", "b.xml"],
    ],
)
def test_how_lists_name_images(tmp_path: Path, lines: list[str]) -> None:
    write(tmp_path, {"Annotations/my photo 1.xml": xml("cat"), "Annotations/b.xml": xml("dog")})
    write(tmp_path, {"ImageSets/Main/train.txt": "\n".join(lines)})
    assert read(tmp_path).image_ids.tolist() == ["my photo 1", "b"]


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ({"{}.xml": "{}.jpg"}, "."),  # LabelImg, Roboflow: beside each other
        ({"{}.XML": "{}.JPG"}, "."),
        ({"annotations/{}.xml": "images/{}.png"}, "images"),
        ({"Annotations/{}.xml": "JPEGImages/{}.JPG"}, "JPEGImages"),
        ({"Annotations/{}.xml": "JPEGImages/{}.jpeg"}, "JPEGImages"),
        ({"Annotations/{}.xml": "Annotations/{}.bmp"}, "Annotations"),
        ({"Annotations/{}.xml": "{}.bmp"}, "."),
        ({"Annotations/{}.xml": "photos/{}.tif"}, "photos"),
    ],
)
@pytest.mark.parametrize(
    "filename", [None, "{}.jpg", "{}", "C:\\Users\\me\\{}.jpeg", "/home/me/{}.png", "renamed.jpg"]
)
def test_layouts(tmp_path: Path, files: dict[str, str], folder: str, filename: str | None) -> None:
    ((annotation, image),) = files.items()
    for part, names in (("train", "ab"), ("valid", "c"), ("test", "d")):
        for n in names:
            text = xml("cat", filename=filename and filename.format(n))
            write(tmp_path / part, {annotation.format(n): text, image.format(n): ""})
    data = load(
        tmp_path,
        train_folder="train",
        validation_folder="valid",
        validation_set="valid",
        test_folder="test",
    )
    found = [data.train.image_path(row) for row in range(2)]
    assert found == [tmp_path / "train" / image.format(n) for n in "ab"]
    assert found[0].parent == tmp_path / "train" / folder
    assert data.validation is not None and labels(data.validation) == ["cat"]
    assert (
        data.notes[0] == "training: there is no image set 'train': all 2 annotated images are taken"
    )


def test_masks_are_not_taken_for_photographs(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/a.xml": xml("cat"), "SegmentationClass/a.png": ""})
    write(tmp_path, {"JPEGImages/b.jpg": "", "ImageSets/Main/train.txt": "a"})
    with pytest.raises(MissingFileError, match=r"1 of 1 training .*JPEGImages/a\.jpg"):
        load(tmp_path, test_set="train")


LISTS = {
    "cat_train.txt": "1  1\n2 -1\n3  0\n",
    "dog_train.txt": "1 -1\n2  1\n3  1\n",
    "cat_test.txt": "4 1\n",
    "dog_test.txt": "4 -1\n",
}


def write_lists(root: Path, **changed: str) -> None:
    lists = LISTS | {f"{name}.txt": text for name, text in changed.items()}
    write(root, {f"ImageSets/Main/{name}": text for name, text in lists.items()})
    write(root, {f"JPEGImages/{n}.jpg": "" for n in (1, 2, 3, 4)})


def test_lists_of_each_class_are_an_image_set(tmp_path: Path) -> None:
    write_lists(tmp_path)
    write(tmp_path, {f"Annotations/{n}.xml": xml("cow") for n in (1, 2, 3, 4)})
    table = read(tmp_path)
    assert table.image_ids.tolist() == ["1", "2", "3"] and labels(table) == ["cow"] * 3
    assert table.notes == ("the images are those of the 2 lists *_train.txt",)


def test_lists_of_each_class_are_labels_where_there_is_no_xml(tmp_path: Path) -> None:
    write_lists(tmp_path)
    table = read(tmp_path)
    assert table.class_names == ("cat", "dog") and labels(table) == ["cat", "dog", "cat|dog"]
    assert table.known is None
    assert labels(read(tmp_path, include_difficult=False)) == ["cat", "dog", "dog"]
    data = load(tmp_path)
    assert labels(data.train) == labels(table) and labels(data.test) == ["cat"]
    write_lists(tmp_path, cow_train="3 1\n")
    table = read(tmp_path)
    assert labels(table)[2] == "cat|cow|dog"
    assert table.known_mask([0, 2]).tolist() == [[True, False, True], [True, True, True]]


def test_lists_of_each_class_that_do_not_fit(tmp_path: Path) -> None:
    write_lists(tmp_path, dog_train="1 -1\n2\n")
    with pytest.raises(DataError, match=r"dog_train\.txt, line 2: '2' is not an image and 1, 0 or"):
        read(tmp_path)
    write_lists(tmp_path)
    with pytest.raises(DataError, match=r"image 2 has an object of class 'dog', .* 1 class names"):
        read_voc(tmp_path, ".", "train", class_names=["cat"])
    write(tmp_path, {"ImageSets/Main/all.txt": "1\n"})
    with pytest.raises(
        MissingFileError, match=r"neither Annotations/\*\.xml nor lists .*_all\.txt"
    ):
        read_voc(tmp_path, ".", "all")


def test_class_names_choose_and_order_and_absent_classes_are_known(tmp_path: Path) -> None:
    for n, names in enumerate((["cat", "dog"], ["cow"], ["dog"], ["bee", "dog"], [])):
        write(tmp_path, {f"Annotations/{n}.xml": xml(*names), f"JPEGImages/{n}.jpg": ""})
    write(tmp_path, {"ImageSets/Main/train.txt": "0\n1", "ImageSets/Main/test.txt": "2\n3\n4"})
    data = load(tmp_path)
    assert data.train.class_names == data.test.class_names == ("cat", "cow", "dog")
    assert labels(data.test) == ["dog", "dog", ""] and data.test.known is None
    assert data.notes == (
        "test: 1 class is not in training and left out: 'bee' (1 labels; 0 images have no label "
        "left)",
    )
    data = load(tmp_path, class_names=["dog", "ant", "cat"])
    assert data.train.class_names == data.test.class_names == ("dog", "ant", "cat")
    assert labels(data.train) == ["dog|cat", ""] and data.train.known is data.test.known is None
    with pytest.raises(DataError, match="none of the classes of class_names is in the data"):
        load(tmp_path, class_names=["ant"])
    write(tmp_path, {"ImageSets/Main/test.txt": "4"})
    assert load(tmp_path).test.class_names == ("cat", "cow", "dog")


def test_the_cache_knows_the_lists_of_each_class(tmp_path: Path) -> None:
    write(tmp_path, {f"Annotations/{i}.xml": xml("cat") for i in "0123"})
    write(tmp_path, {f"JPEGImages/{i}.jpg": "" for i in "0123"})
    write(tmp_path, {"ImageSets/Main/test.txt": "3"})
    config = TypeAdapter(DataConfig).validate_python({"name": "voc", "root": str(tmp_path)})
    for marks in ("0 1\n1 1\n2 1", "0 1\n1 1"):
        write(tmp_path, {"ImageSets/Main/cat_train.txt": marks})
        data = load_data(config, tmp_path / "cache")
        assert len(data.train) == marks.count("\n") + 1


def test_the_cache_knows_what_was_read(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/0.xml": xml("cat"), "Annotations/1.xml": xml("dog")})
    write(tmp_path, {"JPEGImages/0.jpg": "", "JPEGImages/1.jpg": ""})
    write(tmp_path, {"ImageSets/Main/train.txt": "0\n1", "ImageSets/Main/test.txt": "1"})
    values = {"name": "voc", "root": str(tmp_path)}
    for names in (["dog", "cat"], None, ["dog"]):
        config = TypeAdapter(DataConfig).validate_python({**values, "class_names": names})
        for _ in range(2):
            data = load_data(config, tmp_path / "cache")
            assert list(data.test.class_names) == (names or ["cat", "dog"])
    (tmp_path / "JPEGImages/0.jpg").rename(tmp_path / "JPEGImages/0.png")
    assert load_data(config, tmp_path / "cache").train.image_path(0).name == "0.png"
