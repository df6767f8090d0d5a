"""What is said about each class."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlt.errors import ConfigError, DataError
from mlt.language.class_texts import class_texts, read_descriptions, read_names


def test_the_default_is_the_template_of_clip() -> None:
    assert class_texts(["cat"]) == {"cat": ("a photo of a cat.",)}
    # Descriptions stand for themselves.
    assert class_texts(["cat"], descriptions={"cat": ["it purrs"]}) == {"cat": ("it purrs",)}


def test_other_braces_are_text() -> None:
    assert class_texts(["cat"], ["{0} {} {}"]) == {"cat": ("{0} cat cat",)}


def test_a_class_without_description() -> None:
    with pytest.raises(ConfigError, match=r"1 of 2 classes have no description: dog; .* of cat"):
        class_texts(["cat", "dog"], descriptions={"cat": ["it purrs"]})
    with pytest.raises(ConfigError, match="no class names"):
        class_texts([])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"cat": ["it purrs", "it sleeps"], "dog": "it barks"}'),
        ("a.yaml", "cat: [it purrs, it sleeps]\ndog: it barks\n"),
        ("a.csv", "class,text\ncat,it purrs\ndog,it barks\n\ncat,it sleeps\n"),
        ("a.csv", 'class,text\ncat,"it\npurrs"\ndog,it barks\ncat,"it\u2028sleeps"\n'),
        ("a.csv", "\ufeffClass, Text\r\ncat,it purrs\r\ndog,it barks\r\ncat,it sleeps\r\n"),
    ],
)
def test_descriptions(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_descriptions(tmp_path / name) == {
        "cat": ("it purrs", "it sleeps"),
        "dog": ("it barks",),
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"cat": [}', "a.json cannot be read"),
        ("a.json", '["cat"]', "must be an object of class names"),
        ("a.json", "{}", "must be an object of class names"),
        ("a.json", '{"cat": []}', "'cat' needs a text or a list of texts"),
        ("a.json", '{"cat": ["", "it purrs"]}', "'cat' needs a text or a list of texts"),
        ("a.json", '{"cat": ["it purrs"], "cat": ["it meows"]}', "'cat' is there twice"),
        ("a.yaml", "cat: it purrs\ncat: it meows\n", "'cat' is there twice"),
        ("a.json", '{"cat": [3]}', "'cat' needs a text or a list of texts"),
        ("a.yaml", "no: it has no meaning", "the class name False is not text"),
        ("a.yaml", "cat: [", "a.yaml cannot be read"),
        ("a.csv", "cat,it purrs\n", "must begin with the line class,text; it has cat,it purrs"),
        ("a.csv", "class,text\ncat,it purrs,always\n", "line 2: expected a class and a text"),
        ("a.csv", "class,text\n", "has no description"),
        ("a.csv", 'class,text\ncat,"it\npurrs"\ndog\n', "line 4: expected a class and a text"),
        ("a.csv", "class,text\ncat," + "x" * 200_000, "line 2: field larger than"),
        ("a.csv", "", "must begin with the line class,text"),
        ("a.txt", "cat", "in a .json, .yaml or .csv file"),
    ],
)
def test_descriptions_that_cannot_be_used(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_descriptions(tmp_path / name)


def test_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("  cat \n\ntraffic light\n")
    assert read_names(tmp_path / "a.txt") == ("cat", "traffic light")
    (tmp_path / "a.txt").write_text("\n")
    with pytest.raises(DataError, match="no class name"):
        read_names(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="not UTF-8"):
        read_names(tmp_path / "a.txt")
