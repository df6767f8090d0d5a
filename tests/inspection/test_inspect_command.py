"""`mlt inspect` and what a dry run begins with, as users meet them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml
from mlt.data.labels import LabelTable
from mlt.inspection import inspect_data, inspection_page, inspection_text, short_text

HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "\x1b[2J\x07red")


@pytest.fixture
def config(tiny_values: dict[str, Any], tmp_path: Path) -> Path:
    """The tiny configuration as a file."""
    file = tmp_path / "tiny.yaml"
    file.write_text(dump_yaml(tiny_values))
    return file


def write_csv(folder: Path, **parts: str) -> Path:
    """Tables, and the shortest configuration that reads them."""
    for part, rows in parts.items():
        (folder / f"{part}.csv").write_text("path,labels\n" + rows)
    file = folder / "my.yaml"
    file.write_text(
        dump_yaml(
            {
                "output": str(folder / "runs"),
                "data": {"name": "csv", "root": str(folder), "train": "train.csv",
                         "test": "test.csv"},
                "transforms": {"name": "plain", "size": 32},
                "model": {"backbone": "test_resnet", "weights": "none"},
                "loss": {"preset": "bce"},
                "training": {"epochs": 1, "batch_size": 2},
            }
        )
    )  # fmt: skip
    return file


def test_json_has_the_promised_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_csv(tmp_path, train="a.jpg,cat|dog\nb.jpg,cat\nc.jpg,\n", test="d.jpg,dog\n")
    assert main(["inspect", str(file), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed["parts"]) == ["train", "test"]
    train = printed["parts"]["train"]
    promised = ("images", "without_label", "class_counts", "verified_absent", "unknown")
    assert {key: train[key] for key in promised} == {
        "images": 3,
        "without_label": 1,
        "class_counts": {"cat": 2, "dog": 1},
        "verified_absent": {"cat": 1, "dog": 2},
        "unknown": {"cat": 0, "dog": 0},
    }
    assert printed["parts"]["test"]["class_counts"] == {"cat": 0, "dog": 1}
    assert printed["pictures"]["train"]["missing"] == 3
    assert printed["evaluation"]["intervals"] == {"cat": None, "dog": None}
    assert {advice["kind"] for advice in printed["advice"]} == {"fix", "check", "do"}
    assert not (tmp_path / "runs").exists()


def test_text_ends_with_what_to_do_next(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(config)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^train +48 ", printed, re.MULTILINE)
    assert re.search(r"^yeti +tail ", printed, re.MULTILINE)
    assert "training: 48 of 48 are there; all of them were decoded" in printed
    assert "What to do next\n" in printed
    assert printed.index("What to do next") > printed.index("Pictures")


def test_near_duplicates_are_asked_for(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in [], ["--near"]:
        assert main(["inspect", str(config), "--json", *flags]) == 0
        found = json.loads(capsys.readouterr().out)["similar_pictures"]
        assert isinstance(found, list) == bool(flags)


def test_a_part_that_cannot_be_read_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_csv(tmp_path, train="a.jpg,cat\n")
    assert main(["inspect", str(file)]) == 2
    printed = capsys.readouterr().out
    assert "test: data.test: there is no table" in printed
    assert "The test part cannot be read." in printed
    assert re.search(r"^train +1 ", printed, re.MULTILINE)
    assert main(["inspect", str(file), "--json", "--pictures", "none"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert list(found["errors"]) == ["test"]
    assert found["parts"]["train"]["images"] == 1


def test_nothing_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_csv(tmp_path)
    page = tmp_path / "page.html"
    assert main(["inspect", str(file), "--html", str(page)]) == 2
    printed = capsys.readouterr().out
    assert "train: data.train: there is no table" in printed
    assert "no page is written" in printed
    assert not page.exists()


def test_a_page_is_written_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = config.parent / "data.html"
    assert main(["inspect", str(config), "--html", str(page)]) == 0
    html = page.read_text()
    assert "data:image/jpeg;base64," in html
    assert "default-src 'none'" in html
    assert main(["inspect", str(config), "--html", str(page)]) == 2
    assert f"--html {page} is there already" in capsys.readouterr().err
    command = ["inspect", str(config), "--html", str(page), "--overwrite", "--pictures", "none"]
    assert main(command) == 0
    assert "data:image/jpeg" not in page.read_text()


@pytest.mark.parametrize("given", ["-1", "some", "2.5"])
def test_a_wrong_number_of_pictures(
    config: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(config), f"--pictures={given}"]) == 2
    assert "--pictures must be a number, all or none" in capsys.readouterr().err


def test_names_are_escaped(tmp_path: Path) -> None:
    labels = [[0, 1, 2]] * 3 + [[0]] * 20 + [[]] * 200
    files = [f"<b>{i}</b>.jpg" for i in range(len(labels))]
    table = LabelTable.from_lists(range(len(labels)), files, HOSTILE, labels, tmp_path)
    found = inspect_data({"train": table, "test": table})
    html = inspection_page(found, "<i>title</i>")
    for markup in ("<img src=x", "<script>alert", "<b>0</b>", "<i>title"):
        assert markup not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    for text in (inspection_text(found), short_text(found)):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert r"\x1b[2J\x07red" in inspection_text(found)


def test_a_dry_run_begins_with_the_data(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(config), "--dry-run"]) == 0
    first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("training: 48 images, ")
    assert first.endswith(" images")
    assert "4 classes of " in first
    assert second.startswith("test: 32 images, ")
    assert third.startswith("head ")


def test_json_needs_no_torch(config: Path, repository: Path) -> None:
    program = f"""
import sys
from mlt.cli import main
main(["inspect", {str(config)!r}, "--json"])
heavy = {{"torch", "sklearn", "timm", "torchvision", "matplotlib"}} & set(sys.modules)
print(sorted(heavy), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
