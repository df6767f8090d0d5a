"""Absent image files, and what may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlt.data import LabelTable
from mlt.data.image_files import check_images
from mlt.errors import MissingFileError


def table(root: Path, *paths: str) -> LabelTable:
    return LabelTable.from_lists(range(len(paths)), paths, ["any"], [[]] * len(paths), root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three files in three folders."""
    for name in ("a.jpg", "sub/b.jpg", "sub/deep/ü.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_that_are_there(root: Path) -> None:
    check_images(table(root, "a.jpg", "./sub/b.jpg", "sub//deep/ü.jpg", "sub/../a.jpg"), "test")
    check_images(table(root / "elsewhere", str(root / "a.jpg")), "test")
    check_images(table(root), "test")


@pytest.mark.parametrize("path", ["b.jpg", "sub/a.jpg", "none/a.jpg", "A.jpg", "a.jpg/x", "sub/"])
def test_an_absent_file_is_named(root: Path, path: str) -> None:
    with pytest.raises(MissingFileError) as caught:
        check_images(table(root, "a.jpg", path, "c.jpg"), "test")
    assert f"2 of 3 test images are listed in the annotations but absent from {root}" in str(
        caught.value
    )
    assert f", first {root / path}" in str(caught.value)


def test_a_link_that_leads_nowhere_is_absent(root: Path) -> None:
    (root / "c.jpg").symlink_to("a.jpg")
    (root / "d.jpg").symlink_to("/absent/x.jpg")
    check_images(table(root, "a.jpg", "c.jpg"), "test")
    with pytest.raises(MissingFileError, match=r"d\.jpg; it is a link to /absent/x\.jpg, which is"):
        check_images(table(root, "a.jpg", "c.jpg", "d.jpg"), "test")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("A.jpg", "; there is 'a.jpg', which is spelt otherwise"),
        ("sub/deep/u\u0308.jpg", "; there is 'ü.jpg', which is spelt otherwise"),  # as macOS does
        ("a.png", "; there is 'a.jpg', with another extension"),
        ("a", "; there is 'a.jpg', with another extension"),
        ("b.jpg", "; there is 'sub/b.jpg' in {}: do the paths start in another folder?"),
        ("photos/sub/b.jpg", "; there is 'sub/b.jpg' in {}: do the paths start in another folder?"),
        ("photos/b", "; there is 'sub/b.jpg' in {}: do the paths start in another folder?"),
        ("c.jpg", ""),
    ],
)
def test_a_file_that_may_be_meant_is_named(root: Path, path: str, hint: str) -> None:
    with pytest.raises(MissingFileError) as caught:
        check_images(table(root, path), "test")
    assert str(caught.value).endswith(f"first {root / path}{hint.format(root)}")


def test_paths_that_begin_with_the_name_of_the_root(tmp_path: Path) -> None:
    """As those of CheXpert; a file of that name of another patient is not what is meant."""
    root = tmp_path / "CheXpert"
    for patient in ("valid/patient7", "train/patient1"):
        (root / patient).mkdir(parents=True)
        (root / patient / "view1.jpg").touch()
    with pytest.raises(MissingFileError) as caught:
        check_images(table(root, "CheXpert/train/patient1/view1.jpg"), "training")
    assert str(caught.value).endswith(
        f"; there is 'train/patient1/view1.jpg' in {root}: the paths begin with 'CheXpert', the "
        "name of that folder itself, so they start in the folder above: set data.images to '..'"
    )
    with pytest.raises(MissingFileError) as caught:
        check_images(table(root, "CheXpert/train/patient2/view1.jpg"), "training")
    assert "there is" not in str(caught.value)


def test_the_folders_that_were_searched_are_named(root: Path) -> None:
    with pytest.raises(MissingFileError) as caught:
        check_images(table(root, "images_001/images/c.jpg"), "test", ("images", "images_*/images"))
    assert str(caught.value).endswith(
        "; looked for in images, images_*/images: is an archive not unpacked, or elsewhere?"
    )
