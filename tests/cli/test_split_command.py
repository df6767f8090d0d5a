"""`mlt split`: what is printed, what is written, what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlt.cli import main
from mlt.data.splits.partition import Partition

CLASSES = {"cat": 2, "dog": 3, "cow": 5, "yeti": 30}
"""Every which image has the class, counted from its own number."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ninety images of four classes, three of each patient; yeti has three images."""
    lines = ["path,labels,patient"]
    for n in range(90):
        names = [name for name, every in CLASSES.items() if n % every == every - 1]
        lines.append(f"{n:02}.png,{'|'.join(names)},p{n // 3}")
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(lines))
    return file


def parts_of(file: Path) -> dict[str, set[str]]:
    """The image ids of each part of a saved split."""
    return {
        name: {str(i) for i in part.image_ids} for name, part in Partition.load(file).parts.items()
    }


def test_parts_of_a_table(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "split.json"
    arguments = ["split", str(table), "--test", "0.2", "--validation", "0.1", "--output"]
    assert main([*arguments, str(output)]) == 0
    printed = capsys.readouterr().out
    parts = parts_of(output)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 63, "validation": 9, "test": 18,
    }  # fmt: skip
    assert len(set.union(*parts.values())) == 90
    warning, *lines = printed.splitlines()
    assert "the column 'patient' looks like one (90 images, 30 values)" in warning
    assert lines[0].split() == ["part", "images", "labels", "without", "distance"]
    assert lines[3].split()[:2] == ["test", "18"]
    assert ["yeti", "3", "1", "1", "1"] in [line.split() for line in lines]
    stored = json.loads(output.read_text())
    assert stored["recipe"]["seed"] == 0 and stored["sources"][0]["file"] == "labels.csv"
    assert main([*arguments, str(output)]) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    again = tmp_path / "again.json"
    assert main([*arguments, str(again)]) == 0
    assert parts_of(again) == parts


def test_groups_stay_together(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "split.json"
    options = ["--test", "0.2", "--group", "patient", "--output", str(output)]
    assert main(["split", str(table), *options]) == 0
    printed = capsys.readouterr().out
    patients = [{int(i[:2]) // 3 for i in part} for part in parts_of(output).values()]
    assert not patients[0] & patients[1]
    assert "30 groups, each in one part" in printed
    assert "every class is within one image of its share" in printed
    assert main(["split", str(table), *options[:3], "pat", *options[4:], "--overwrite"]) == 2
    assert "no column 'pat'" in capsys.readouterr().err


def test_folds(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "folds.json"
    assert main(["split", str(table), "--folds", "3", "--output", str(output)]) == 0
    assert [len(part) for part in parts_of(output).values()] == [30, 30, 30]
    assert Partition.load(output).num_folds == 3
    assert "mlt compare CONFIG --folds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "pack"),
    [(int, bytes), (float, lambda content: b"\xef\xbb\xbf" + content), (int, gzip.compress)],
)
def test_a_coco_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: type[int | float],
    pack: Callable[[bytes], bytes],
) -> None:
    images = [
        {"id": (int if n % 5 else number)(n), "file_name": f"{n}.png", "video": n // 5}
        for n in range(40)
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [0, 0, 9, 9], "area": 81}
        for n in range(40)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    file, output = tmp_path / "all.json", tmp_path / "split.json"
    content = {"images": images, "annotations": boxes, "categories": categories}
    file.write_bytes(pack(json.dumps(content).encode()))
    arguments = ["split", str(file), "--test", "0.25", "--output", str(output), "--group"]
    assert main([*arguments, "video"]) == 0
    parts = parts_of(output)
    assert len(parts["test"]) == 10
    assert not {int(i) // 5 for i in parts["test"]} & {int(i) // 5 for i in parts["train"]}
    assert main([*arguments, "film", "--overwrite"]) == 2
    assert "no image of" in capsys.readouterr().err


def test_duplicates_stay_together(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for n in range(90):
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((48, 48), Image.Resampling.BICUBIC).save(tmp_path / f"{n:02}.png")
    same = [(0, 50), (1, 51), (2, 52), (3, 53), (4, 54), (5, 55), (6, 56), (7, 57)]
    for a, b in same:
        (tmp_path / f"{b:02}.png").write_bytes((tmp_path / f"{a:02}.png").read_bytes())
    with Image.open(tmp_path / "10.png") as image:
        image.resize((40, 40)).save(tmp_path / "60.png")
    output = tmp_path / "split.json"
    arguments = ["split", str(table), "--test", "0.5", "--output", str(output), "--overwrite"]

    def torn(pairs: list[tuple[int, int]]) -> int:
        tested = parts_of(output)["test"]
        return sum((f"{a:02}.png" in tested) != (f"{b:02}.png" in tested) for a, b in pairs)

    assert main(arguments) == 0
    assert torn(same) > 0
    assert main([*arguments, "--check-duplicates"]) == 0
    assert torn(same) == 0
    printed = capsys.readouterr().out
    assert "files with the same content: 16 images, 8 times the same: 00.png = 50.png" in printed
    assert main([*arguments, "--check-duplicates", "near"]) == 0
    assert torn([*same, (10, 60)]) == 0
    assert "look the same: 2 images, 1 times the same: 10.png = 60.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say what to cut"),
        (["--test", "0.2", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--test", "1.5"], "--test is a share between 0 and 1"),
        (["--test", "0.5", "--validation", "0.5"], "take 1 of all images"),
        (["--folds", "1"], "--folds must be at least 2"),
        (["--folds", "3", "--test", "0.2"], "give it without --test"),
        (["--test", "0.2", "--config", "digits_mlt_bce"], "give either TABLE or --config"),
        (["--test", "0.001"], "cutting test 0.001 out of 90 images leaves test without an image"),
        (["--test", "0.999"], "cutting test 0.999 out of 90 images leaves train without an image"),
        (["--folds", "95"], "cutting 90 images into 95 folds leaves 5 of them without an image"),
        (
            ["--folds", "31", "--group", "patient"],
            "leaves 1 of them without an image: they are in 30 groups, the largest of 3 images",
        ),
        (["--test", "0.2", "--set", "blanc=unknown"], "did you mean 'blank'"),
    ],
)
def test_what_cannot_be_split_is_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["split", str(table), *options, "--output", str(tmp_path / "s.json")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "s.json").exists()


def test_a_table_of_another_form(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace("path,labels", "Image,Finding"))
    options = ["--set", "path_column=Image", "labels_column=Finding"]
    output = tmp_path / "split.json"
    arguments = ["split", str(table), "--test", "0.2", "--output", str(output)]
    assert main([*arguments, *options]) == 0
    assert len(parts_of(output)["test"]) == 18


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Sixty images of twenty patients, whom a column and the folders of the paths name."""
    lines = ["path,labels,Patient Age,Patient ID"]
    lines += [
        f"x/patient{n // 3:05}/study1/{n}.png,{'cat' * (n % 2)},7,{n // 3}" for n in range(60)
    ]
    file = tmp_path / "patients.csv"
    file.write_text("\n".join(lines))
    return file


def test_a_patient_who_may_be_torn_apart_is_warned_of(
    patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--test", "0.2", "--overwrite", "--output", str(tmp_path / "split.json")]
    assert main(["split", str(patients), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "no group is set, but the column 'Patient ID' looks like one (60 images, 20" in printed
    assert '--group "Patient ID"' in printed
    lines = [line.rpartition(",")[0] for line in patients.read_text().splitlines()]
    patients.write_text("\n".join(lines))
    assert main(["split", str(patients), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "the paths name 'patient00000' and so on (60 images, 20 values)" in printed
    remedy = ["--group-pattern", r"patient[-_]?\d+"]
    assert f"{remedy[0]} '{remedy[1]}'" in printed
    assert main(["split", str(patients), *arguments, *remedy]) == 0
    printed = capsys.readouterr().out
    assert "no group is set" not in printed and "20 groups, each in one part" in printed
    parts = [
        {Path(i).parts[1] for i in part} for part in parts_of(tmp_path / "split.json").values()
    ]
    assert len(parts[1]) == 4 and not parts[0] & parts[1]


def test_nothing_is_suspected_where_each_image_is_a_patient(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["path,labels,case,study"]
    table.write_text("\n".join([*lines, *(f"{n}.png,cat,c{n},all" for n in range(20))]))
    output = str(tmp_path / "split.json")
    assert main(["split", str(table), "--test", "0.2", "--output", output]) == 0
    assert "no group is set" not in capsys.readouterr().out


def test_a_pattern_of_a_coco_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"id": n, "file_name": f"subject_{n // 4}/{n}.png"} for n in range(40)]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81}
        for n in range(40)
    ]
    content = {
        "images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}],
    }  # fmt: skip
    file, output = tmp_path / "all.json", tmp_path / "split.json"
    file.write_text(json.dumps(content))
    arguments = ["split", str(file), "--test", "0.2", "--overwrite", "--output", str(output)]
    assert main(arguments) == 0
    assert r"--group-pattern 'subject[-_]?\d+'" in capsys.readouterr().out
    assert main([*arguments, "--group-pattern", r"subject[-_]?\d+"]) == 0
    assert "no group is set" not in capsys.readouterr().out
    parts = parts_of(output)
    assert not {int(i) // 4 for i in parts["test"]} & {int(i) // 4 for i in parts["train"]}


def test_images_without_a_group_are_counted(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(table.read_text().replace(",p7\n", ",\n"))
    options = ["--test", "0.2", "--group", "patient", "--output", str(tmp_path / "split.json")]
    assert main(["split", str(table), *options]) == 0
    assert "3 of 90 images have no group in column 'patient'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("doctor", "nothing in column 'path' fits the pattern 'doctor'"), ("(", "regular expression")],
)
def test_a_pattern_that_fits_nothing_is_refused(
    pattern: str, message: str, patients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--test", "0.2", "--output", str(patients.parent / "split.json")]
    assert main(["split", str(patients), *options, "--group-pattern", pattern]) == 2
    assert message in capsys.readouterr().err


def test_one_group_of_all_images_is_named(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text("path,labels,patient\n" + "".join(f"{n}.png,cat,p1\n" for n in range(9)))
    options = ["--test", "0.2", "--group", "patient", "--output", str(tmp_path / "split.json")]
    assert main(["split", str(table), *options]) == 2
    assert "one group has them all" in capsys.readouterr().err
