"""The file of class embeddings: what is in it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlt.errors import DataError, MissingFileError
from mlt.language import ClassEmbeddings

VECTORS = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)


def made(**changes: object) -> ClassEmbeddings:
    values = {
        "names": ("cat", "dog", "owl"),
        "vectors": VECTORS,
        "texts": (("a cat.",), ("a dog.", "it barks"), ("an owl.",)),
        "model": "ViT-B-16/openai",
        "scale": 100.0,
    }
    return ClassEmbeddings(**(values | changes))  # type: ignore[arg-type]


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    made().save(tmp_path / "a.safetensors")
    read = ClassEmbeddings.read(tmp_path / "a.safetensors")
    assert (read.names, read.texts, read.model) == (made().names, made().texts, made().model)
    assert (read.scale, read.bias) == (100.0, None)
    np.testing.assert_array_equal(read.vectors, VECTORS)
    made().save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_vectors_are_found_by_name_in_any_order() -> None:
    assert made().of(["owl", "cat"]).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(DataError, match=r"no embedding for 2 of 3 classes: cow, Dog. .*cat, dog"):
        made().of(["cat", "cow", "Dog"])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1, 0], [np.nan, 0], [0, 1]], "not finite: dog"),
        ([[1, 0], [np.inf, 0], [0, 1]], "not finite: dog"),
        ([[1, 0], [0, 0], [0, 0]], "are 0, which has no direction: dog, owl"),
        ([[1, 0], [0, 1]], "3 class names, but embeddings of shape .2, 2."),
        ([1, 0, 1], "3 class names, but embeddings of shape .3,."),
    ],
)
def test_vectors_that_mean_nothing(vectors: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        made(vectors=np.array(vectors, np.float32))


def test_numbers_of_other_types_become_float32(tmp_path: Path) -> None:
    given = ClassEmbeddings(("cat", "dog"), np.eye(2))
    given.save(tmp_path / "a.safetensors")
    for one in (given, ClassEmbeddings.read(tmp_path / "a.safetensors")):
        assert one.vectors.dtype == np.float32


def test_a_name_that_is_there_twice() -> None:
    with pytest.raises(DataError, match="more than once: cat"):
        made(names=("cat", "dog", "cat"))


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="mlt embed-classes"):
        ClassEmbeddings.read(tmp_path / "nowhere.safetensors")
    (tmp_path / "a.safetensors").write_text("cats and dogs")
    with pytest.raises(DataError, match="not a safetensors file"):
        ClassEmbeddings.read(tmp_path / "a.safetensors")
    save_file({"weight": VECTORS}, tmp_path / "b.safetensors", {"format": "mlt.checkpoint/1"})
    with pytest.raises(DataError, match="not a file of class embeddings"):
        ClassEmbeddings.read(tmp_path / "b.safetensors")


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    made().save(file)
    content = file.read_bytes()
    for place in range(0, len(content), 3):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError):
            ClassEmbeddings.read(file)
