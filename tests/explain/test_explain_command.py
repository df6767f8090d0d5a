"""The command `mlt explain`, and the files that it writes."""

from __future__ import annotations

import base64
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlt.cli import main
from mlt.explain import explain, write_explanations
from mlt.explain import page as page_module
from mlt.inference import Predictor, find_images


@pytest.fixture
def images(tiny_source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for path in find_images([tiny_source / "test"])[:3]:
        shutil.copy(path, folder)
    return folder


def pictures_of(html: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_pictures_maps_and_a_page(
    tiny_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "looked"
    command = ["explain", str(tiny_run), str(images), "--output", str(output)]
    assert main([*command, "--top", "2", "--format", "png", "npz"]) == 0
    assert f"3 images explained, see {output / 'index.html'}" in capsys.readouterr().out
    predictor = Predictor.from_checkpoint(tiny_run / "last.safetensors", device="cpu")
    paths = find_images([images])
    expected = set()
    for number, (path, one) in enumerate(zip(paths, predictor.predict(paths)), 1):
        stem = f"000{number}-{path.stem}"
        names = [predictor.class_names[c] for c in one.highest(2)]
        files = [f"{stem}-{c}-{name}.png" for c, name in zip(one.highest(2), names, strict=True)]
        expected |= {*files, f"{stem}.npz"}
        with np.load(output / f"{stem}.npz") as stored:
            assert stored["classes"].tolist() == names
            assert stored["maps"].shape == (2, 1, 1)
            np.testing.assert_allclose(stored["probabilities"], one.probabilities[one.highest(2)])
            assert stored["box"].tolist() == [0, 0, 1, 1]
            assert stored["size"].tolist() == [32, 32]
            assert str(stored["method"]) == "grad_cam"
            assert str(stored["path"]) == str(path)
        for file in files:
            with Image.open(output / file) as picture:
                assert (picture.size, picture.format) == ((32, 32), "PNG")
    assert {path.name for path in output.iterdir()} == {*expected, "index.html"}
    html = (output / "index.html").read_text(encoding="utf-8")
    assert len(pictures_of(html)) == 3 * (1 + 2)
    assert "The maps are Grad-CAM" in html
    assert "attention of the head" not in html


def test_nothing_is_overwritten_silently(
    tiny_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "looked"
    output.mkdir()  # an empty folder may be there
    command = ["explain", str(tiny_run), str(images), "--output", str(output)]
    assert main(command) == 0
    before = {path: path.read_bytes() for path in output.iterdir()}
    (output / "index.html").write_text("mine")
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (output / "index.html").read_text() == "mine"
    assert main([*command, "--overwrite"]) == 0
    assert {path: path.read_bytes() for path in output.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    assert main([*command[:3], "--output", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_named_and_left_out(
    tiny_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "0000.png").write_bytes(b"not an image")
    output = tmp_path / "looked"
    command = ["explain", str(tiny_run / "last.safetensors"), str(images), "--output", str(output)]
    assert main([*command, "--classes", "yeti"]) == 1
    printed = capsys.readouterr()
    assert "2 images explained" in printed.out
    assert "1 of 3 images have no prediction" in printed.err
    assert "0000.png" in printed.err
    html = (output / "index.html").read_text(encoding="utf-8")
    assert "it is not an image of a known format" in html
    assert len(pictures_of(html)) == 4
    assert sorted(path.name for path in output.glob("*.jpg")) == [
        "0002-0001-3-yeti.jpg",
        "0003-0002-3-yeti.jpg",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--classes", "yetti"], "did you mean 'yeti'"),
        (["--classes", "yeti", "--top", "2"], "either --classes or --top"),
        (["--top", "0"], "at least 1"),
        (["--method", "attention"], "has no attention of its own"),
        (["--batch-size", "0"], "batch_size"),
    ],
)
def test_what_cannot_be_leaves_no_folder(
    tiny_run: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    output = tmp_path / "looked"
    assert main(["explain", str(tiny_run), str(images), *options, "--output", str(output)]) == 2
    assert said in capsys.readouterr().err
    assert not output.exists()


class Elements(HTMLParser):
    """Counts elements and keeps all attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


HOSTILE = ('<img src=x onerror="alert(1)">', "../../up", "a" * 300, "yeti")


def test_hostile_names_stay_text_and_inside_the_folder(
    tiny_run: Path, images: Path, tmp_path: Path
) -> None:
    predictor = Predictor.from_checkpoint(tiny_run / "last.safetensors", device="cpu")
    predictor.class_names = HOSTILE
    photograph = images / "<script>alert(2)<"  # no file name has a slash
    shutil.copy(images / "0001.png", photograph)
    broken = images / "<b>broken.png"
    broken.write_bytes(b"")
    output = tmp_path / "deep" / "er" / "looked"
    answers = explain(predictor, [photograph, broken], top=4)
    problems = write_explanations(answers, output, HOSTILE, title="<i>", subtitle="<u>")
    assert list(problems) == [broken]
    assert len(list(output.iterdir())) == 5
    assert {path.name for path in tmp_path.glob("deep/**/*") if path.is_file()} == {
        path.name for path in output.iterdir()
    }
    html = (output / "index.html").read_text(encoding="utf-8")
    elements = Elements(html)
    names = [tag for tag, _ in elements.seen]
    assert names.count("img") == 5
    assert names.count("script") == 1
    assert not {"i", "u"} & set(names)
    assert not any("onerror" in attributes for _, attributes in elements.seen)
    policy = next(a["content"] for _, a in elements.seen if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for tag, attributes in elements.seen:
        assert (attributes.get("src") or "data:").startswith("data:image/jpeg;base64,"[:5]), tag
        assert (attributes.get("href") or "#").startswith("#"), tag


def test_a_page_of_many_images_stays_small(
    tiny_run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.from_checkpoint(tiny_run / "last.safetensors", device="cpu")
    monkeypatch.setattr(page_module, "ROOM", 1)
    answers = list(explain(predictor, find_images([images]), top=1))
    write_explanations(answers, tmp_path / "looked", predictor.class_names)
    html = (tmp_path / "looked" / "index.html").read_text(encoding="utf-8")
    assert len(pictures_of(html)) == 2
    assert "2 further images are not shown here" in html
    assert len(list((tmp_path / "looked").glob("*.jpg"))) == 3


def test_a_map_of_nothing_is_said(tiny_run: Path, images: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_checkpoint(tiny_run / "last.safetensors", device="cpu")
    (one,) = explain(predictor, find_images([images])[:1], classes=["yeti"])
    empty = replace(one, seen=replace(one.seen, maps=np.zeros_like(one.seen.maps)))
    write_explanations([empty], tmp_path / "looked", predictor.class_names)
    assert "nothing speaks for it" in (tmp_path / "looked" / "index.html").read_text("utf-8")
