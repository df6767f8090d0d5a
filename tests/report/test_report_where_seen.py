"""Where rare labels were seen, in the report of a run that has its checkpoint and its images."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.cli import main
from mlt.config import dump_config
from mlt.config.load import parse_config
from mlt.config.yaml_text import parse_yaml
from mlt.data import LabelTable
from mlt.data.images import load_image
from mlt.data.transforms import Preprocessing, eval_transform
from mlt.errors import ConfigError
from mlt.heatmaps import overlay, spread, visible_box, where_seen
from mlt.models.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from mlt.predictions import Predictions
from mlt.report import write_report
from mlt.report.confusion import given_labels
from mlt.report.images import Images, as_base64
from mlt.report.methods import load_report
from mlt.report.page import make_page
from mlt.report.rare_mistakes import worst_mistakes
from mlt.report.render import render_page
from mlt.report.section_where_seen import where_seen_section


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A trained run with mistakes that a test may damage."""
    folder = Path(shutil.copytree(tiny_run, tmp_path / "mine"))
    p = Predictions.load(folder / "predictions.npz")
    noise = 5 * np.random.default_rng(0).normal(size=p.logits.shape)
    Predictions(**{**vars(p), "logits": p.logits + noise}).save(folder / "predictions.npz")
    return folder


def tail_of(run: Path) -> list[int]:
    """The classes of the tail, the rarest first."""
    counts = load_report([run]).class_counts
    tail = [c for c in range(4) if counts.group_of(c) == "tail"]
    assert tail
    return sorted(tail, key=lambda c: counts.counts[c])


def section(html: str) -> str:
    return re.search(r'<section id="where_seen">(.*?)</section>', html, re.DOTALL)[1]  # type: ignore[index]


def pictures(html: str) -> list[str]:
    return re.findall(r'src="data:image/jpeg;base64,([^"]+)"', section(html))


def test_the_pictures_are_maps_of_the_model_over_its_worst_mistakes(
    run: Path, tiny_source: Path, tmp_path: Path
) -> None:
    page = write_report([run], tmp_path / "r.html", where_seen=True).read_text(encoding="utf-8")
    p = Predictions.load(run / "predictions.npz")
    chosen = worst_mistakes(p, tail_of(run), limit=60)
    assert {m.kind for m in chosen} == {"missed", "alarms"}
    assert any(m.others for m in chosen)
    model, info = load_checkpoint(run / "last.safetensors")
    form = Preprocessing.from_dict(info.preprocessing)
    expected = []
    order = {"missed": 0, "alarms": 1}
    for m in sorted(chosen, key=lambda m: (tail_of(run).index(m.column), order[m.kind])):
        photograph = load_image(tiny_source / "test" / f"{m.row:04}.png")
        columns = [m.column, *m.others]
        maps = where_seen(model, eval_transform(form)(photograph)[None], columns)[0].numpy()
        box = visible_box(form, 32, 32)
        layers = [overlay(photograph, spread(each, box, 32, 32)) for each in maps]
        expected += [as_base64(picture) for picture in (photograph, *layers)]
    assert pictures(page) == expected
    text = section(page)
    name = p.class_names[chosen[0].column]
    assert f"<b>{name}</b><span>missed, place {chosen[0].place}</span>" in text
    assert "Grad-CAM" in text


def test_worst_mistakes_worked_by_hand() -> None:
    # Two images have a, which is given to the two highest; one has b.
    truth = np.array([[1, 0], [0, 1], [1, 0], [0, 0]], bool)
    logits = np.array([[-3, 5], [4, 1], [9, 0], [1, -2]], np.float32)
    p = Predictions(np.arange(4), logits, truth, ("a", "b"), np.array([9, 1]), 10)
    assert given_labels(p).tolist() == [[False, True], [True, False], [True, False], [False, False]]
    found = [(m.column, m.kind, m.row, m.place, m.others) for m in worst_mistakes(p, [1, 0], 9)]
    assert found == [
        (1, "missed", 1, 2, (0,)),  # image 1 has b, which image 0 is given; it is given a
        (1, "alarms", 0, 1, ()),
        (0, "missed", 0, 4, (1,)),
        (0, "alarms", 1, 2, ()),
    ]
    assert [m.column for m in worst_mistakes(p, [1, 0], 3)] == [1, 1, 0]
    unknown = np.ones((4, 2), bool)
    unknown[0] = False
    p = Predictions(np.arange(4), logits, truth, ("a", "b"), np.array([9, 1]), 10, known=unknown)
    assert given_labels(p).tolist() == [[False, False], [False, True], [True, False], [False] * 2]


def test_without_being_asked_for_nothing_changes(run: Path) -> None:
    page = make_page(load_report([run])).html
    assert "where_seen" not in page
    assert "rare labels" not in page


def test_the_head_shows_its_attention(tiny_values: dict[str, Any], tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    values = {**tiny_values, "model": {**tiny_values["model"], "head": {"name": "csra"}}}
    values["training"] = {**values["training"], "epochs": 1}
    config.write_text(dump_config(parse_config(values)))
    assert main(["train", str(config)]) == 0
    output = tmp_path / "r.html"
    command = ["report", str(values["output"]), "--where-seen", "--output", str(output)]
    assert main(command) == 0
    html = output.read_text(encoding="utf-8")
    assert "attention of the head" in section(html)
    assert pictures(html)


def test_what_is_absent_is_said(run: Path) -> None:
    def note(**options: bool) -> str:
        html = make_page(load_report([run]), where_seen=True, **options).html
        assert not pictures(html)
        return section(html)

    assert "made without images" in note(thumbnails=False)
    checkpoint = (run / "last.safetensors").read_bytes()
    (run / "last.safetensors").write_bytes(checkpoint[:-1] + bytes([checkpoint[-1] ^ 1]))
    assert "is damaged" in note()
    for path in run.glob("*.safetensors"):
        path.unlink()
    assert "there is no checkpoint in" in note()
    (run / "last.safetensors").write_bytes(checkpoint)
    p = Predictions.load(run / "predictions.npz")
    other = {**vars(p), "model": "0" * 64}
    Predictions(**other).save(run / "predictions.npz")
    assert "come from other weights than last.safetensors" in note()
    Predictions(**{**vars(p), "class_counts": np.full(4, 30)}).save(run / "predictions.npz")
    assert "No class is in the tail" in note()
    perfect = np.where(p.targets, 5, -5).astype(np.float32)
    Predictions(**{**vars(p), "logits": perfect}).save(run / "predictions.npz")
    assert "No class of the tail has a mistake" in note()


def test_a_model_without_a_map_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("Foreign does not have the methods")

    monkeypatch.setattr("mlt.report.section_where_seen.seen_on", refuse)
    text = section(make_page(load_report([run]), where_seen=True).html)
    assert "cannot be shown: Foreign does not have the methods" in text
    assert "could not be read" not in text


def test_several_methods_are_refused(make_run: Any) -> None:
    report = load_report([make_run("a"), make_run("b", config={"loss": {}})])
    with pytest.raises(ConfigError, match="of one method, and there are 2"):
        make_page(report, where_seen=True)


HOSTILE = ("<img src=x onerror=alert(1)>", "</section><script>alert(2)</script>", "\"&'`", "<b>")


def test_hostile_names_stay_text_and_unreadable_images_are_counted(
    run: Path, tiny_root: Path
) -> None:
    (run / "config.yaml").unlink()  # says where the images are; here the test does
    checkpoint = run / "last.safetensors"
    weights, info = read_checkpoint(checkpoint)
    save_checkpoint(checkpoint, weights, replace(info, class_names=HOSTILE))
    p = Predictions.load(run / "predictions.npz")
    ids = np.array([f"{n}<script>" for n in range(32)])
    p = Predictions(**{**vars(p), "class_names": HOSTILE, "image_ids": ids})
    p.save(run / "predictions.npz")
    files = [f"{n:04}.png" for n in range(32)]
    chosen = worst_mistakes(p, tail_of(run), 60)
    (tiny_root / "test" / files[chosen[0].row]).write_bytes(b"")
    table = LabelTable.from_lists(range(32), files, HOSTILE, [[]] * 32, tiny_root / "test")
    report = load_report([run])
    made = where_seen_section(report, Images(table, {n: n for n in range(32)}))
    html = render_page([made], title="t", subtitle="s", version="v", date="d")
    unreadable = sum(m.row == chosen[0].row for m in chosen)
    assert f"{unreadable} images could not be read" in html
    shown = [m for m in chosen if m.row != chosen[0].row]
    assert html.count("<img") == len(pictures(html)) == sum(2 + len(m.others) for m in shown)
    assert html.count("<script") == 1
    assert f"<b>{escape(HOSTILE[chosen[0].column])}</b>" in html
    assert "onerror=" not in html.replace("&lt;img src=x onerror=", "")


def test_the_file_stays_small(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlt.report.section_where_seen.IMAGES", 2)
    p = Predictions.load(run / "predictions.npz")
    chosen = worst_mistakes(p, tail_of(run), 2)
    html = make_page(load_report([run]), where_seen=True).html
    assert len(pictures(html)) == sum(2 + len(m.others) for m in chosen)


def test_of_several_seeds_the_first_run_is_shown(run: Path) -> None:
    second = run.parent / "mine-seed1"
    shutil.copytree(run, second)
    config = (second / "config.yaml").read_text()
    (second / "config.yaml").unlink()
    values = parse_yaml(config) | {"seed": 1, "output": str(second)}
    (second / "config.yaml").write_text(dump_config(parse_config(values)))
    first = run.rename(run.parent / "mine-seed0")
    html = make_page(load_report([first, second]), where_seen=True).html
    assert "of the run mine-seed0" in section(html)
    assert pictures(html)
