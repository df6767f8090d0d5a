"""The page as a file: whole, safe, small, and honest about what it lacks."""

from __future__ import annotations

import json
import re
import shutil
from configparser import ConfigParser
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mlt.data import LabelTable
from mlt.errors import OutputExistsError
from mlt.metrics import (
    Calibration,
    precision_recall_f1,
    tune_decision,
    tune_thresholds,
)
from mlt.predictions import Predictions
from mlt.report import write_report
from mlt.report.class_counts_plot import GROUP_COLORS
from mlt.report.images import Images, find_images
from mlt.report.methods import load_report
from mlt.report.page import check_output, make_page, write_tables
from mlt.report.render import TEMPLATES
from mlt.report.runs import load_run
from mlt.report.section_runs import run_table
from mlt.report.section_training import training_lines

PLAIN = {"loss": {}}
HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "\"&'`", "yeti")


class Elements(HTMLParser):
    """Counts elements and collects their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.seen)


def embedded(html: str) -> dict:
    return json.loads(re.search(r'type="application/json" id="data">(.*?)</script>', html)[1])


def test_one_run(make_run, tmp_path: Path) -> None:
    path = write_report([make_run("mine")], tmp_path / "new" / "r.html")
    html = path.read_text(encoding="utf-8")
    elements = Elements(html)
    assert elements.open == []
    sections = [a["id"] for t, a in elements.seen if t == "section"]
    assert sections == ["summary", "classes", "one_class", "pairs", "training", "runs"]
    p = load_run(tmp_path / "runs" / "mine").predictions
    data = embedded(html)
    assert [c[0] for c in data["classes"]] == list(p.class_names)
    assert data["order"] == [0, 1, 2, 3]
    assert data["methods"][0]["classes"][0]["pr"].startswith("M40 ")
    mistakes = (
        data["methods"][0]["classes"][0]["missed"] + data["methods"][0]["classes"][0]["alarms"]
    )
    assert {str(row) for row, *_ in mistakes} <= set(data["images"])
    assert all(len(image[2]) > 100 for image in data["images"].values())  # each has its thumbnail


def test_nothing_is_loaded_and_nothing_foreign_runs(make_run) -> None:
    html = make_page(load_report([make_run("a"), make_run("b", config=PLAIN)])).html
    elements = Elements(html)
    policy = next(a["content"] for _, a in elements.seen if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    for tag, attributes in elements.seen:
        assert not {"src", "srcset", "action", "style", "onclick"} & set(attributes), tag
        assert (attributes.get("href") or "#").startswith("#")
    without_notes = re.sub(r"http://www\.w3\.org/\S+", "", html)
    assert "http:" not in without_notes
    assert "https:" not in without_notes
    assert "url(" not in html
    assert "@import" not in html


def test_hostile_names_stay_text(make_run, tmp_path: Path, tiny_root: Path) -> None:
    file = tiny_root / "annotations" / "instances_test.json"
    content = json.loads(file.read_text())
    for category, name in zip(content["categories"], HOSTILE):
        category["name"] = name
    file.write_text(json.dumps(content))
    data = {
        "name": "coco", "root": str(tiny_root),
        "train": {"annotations": "annotations/instances_train.json", "images": "train"},
        "test": {"annotations": "annotations/instances_test.json", "images": "test"},
    }  # fmt: skip
    first = make_run("<b>one", class_names=HOSTILE, config={"data": data})
    second = make_run("</title>two", class_names=HOSTILE, config={"data": data, **PLAIN})
    for runs in ([first], [first, second]):
        page = make_page(load_report(runs))
        elements = Elements(page.html)
        assert elements.open == []
        assert elements.count("script") == 2
        assert elements.count("title") > 1  # of the page and of drawings
        assert elements.count("b") == elements.count("img") == 0
        assert not any("onerror" in attributes for _, attributes in elements.seen)
        assert [c[0] for c in embedded(page.html)["classes"]] == list(HOSTILE)
        assert any(image[2] for image in embedded(page.html)["images"].values())


def test_image_ids_may_be_hostile_too(make_run) -> None:
    ids = np.array([f'{i}"><script>alert(1)</script>.jpg' for i in range(32)])
    html = make_page(load_report([make_run("a", image_ids=ids)])).html
    assert Elements(html).count("script") == 2
    assert "The images are not available" in html


def test_what_is_absent_is_said(make_run, tiny_root: Path) -> None:
    run = make_run("a", config=None)
    (run / "metrics.jsonl").unlink()
    html = make_page(load_report([run])).html
    assert "no config.yaml" in html
    assert "no metrics.jsonl" in html
    assert "made without images" in make_page(load_report([run]), thumbnails=False).html

    def note(**data: object) -> str:
        values = load_run(make_run("b")).config["data"]
        return find_images(load_run(make_run("b", config={"data": {**values, **data}}))).note

    assert note() == ""
    assert "there is no folder /nowhere" in note(root="/nowhere")
    absent = {"annotations": "annotations/none.json", "images": "test"}
    assert "no annotation file" in note(test=absent)
    shutil.rmtree(tiny_root / "test")
    assert "none is in" in note(root=str(tiny_root))
    (tiny_root / "broken.png").write_bytes(b"no image")
    broken = LabelTable.from_lists([1], ["broken.png"], ["x"], [[0]], tiny_root)
    assert Images(broken, {0: 0}).thumbnail(0) is None
    assert Images(broken, {0: 0}).thumbnail(7) is None


def test_tuned_thresholds_are_shown_with_and_without(make_run) -> None:
    run = make_run("a")
    p = load_run(run).predictions
    tuned = tune_thresholds(p.targets, p.logits, class_names=p.class_names)
    stored = {
        "thresholds": tuned.to_json(),
        "calibration": Calibration(p.class_names, (1.0,) * 4, (0.0,) * 4, "platt").to_json(),
        "checks": tune_decision(p).to_json()["checks"],
    }
    (run / "last.decision.json").write_text(json.dumps(stored))
    page = make_page(load_report([run]))
    tables = {table.name: table for table in page.tables}
    assert '<section id="thresholds"' in page.html
    assert {"held-out", "calibration", "thresholds"} <= set(tables)
    decided = precision_recall_f1(p.targets, tuned.decide(p.logits))
    assert tables["rates"].rows[2][1:4] == pytest.approx([decided.cp, decided.cr, decided.cf1])
    person = dict(
        zip([c.title for c in tables["thresholds"].columns], tables["thresholds"].rows[0])
    )
    truth, given = p.targets[:, 0], p.logits[:, 0] >= tuned.values[0]
    assert person["precision tuned"] == pytest.approx((truth & given).sum() / given.sum())
    assert person["recall at 0"] == pytest.approx(
        (truth & (p.logits[:, 0] >= 0)).sum() / truth.sum()
    )
    method = embedded(page.html)["methods"][0]
    assert method["classes"][0]["cal"] == method["classes"][0]["rel"]  # a line that changes nothing
    stored |= {"calibration": Calibration.identity(p.class_names).to_json(), "thresholds": None}
    (run / "last.decision.json").write_text(json.dumps(stored))
    assert "cal" not in embedded(make_page(load_report([run])).html)["methods"][0]["classes"][0]
    assert '<section id="thresholds"' not in make_page(load_report([run])).html


def test_seeds_of_one_method_are_one_report(make_run) -> None:
    runs = [make_run(f"mine-seed{s}", seed=s) for s in range(2)]
    page = make_page(load_report(runs))
    assert "<h1>mine</h1>" in page.html
    assert "Mean over 2 runs" in page.html
    assert "This is the run mine-seed0" in page.html
    assert [table.name for table in page.tables] == ["summary", "rates", "classes", "pairs", "runs"]


def test_every_table_is_written_in_three_forms(make_run, tmp_path: Path) -> None:
    page = make_page(load_report([make_run("a"), make_run("b", config=PLAIN)]))
    names = [table.name for table in page.tables]
    assert names == [
        "comparison", "auroc", "differences", "auroc-differences", "classes", "runs", "settings",
    ]  # fmt: skip
    write_tables(page.tables, tmp_path / "tables")
    found = {path.name for path in (tmp_path / "tables").iterdir()}
    assert found == {f"{name}.{suffix}" for name in names for suffix in ("md", "csv", "tex")}
    settings = (tmp_path / "tables" / "settings.csv").read_text().splitlines()
    keys = ("name", "gamma", "alpha", "soft_targets")
    assert settings[0].split(",") == ["method", *(f"loss.focusing.{key}" for key in keys)]


def test_nothing_is_overwritten_by_accident(tmp_path: Path) -> None:
    file, tables = tmp_path / "r.html", tmp_path / "tables"
    check_output(file, tables, overwrite=False)
    file.write_text("mine")
    tables.mkdir()
    (tables / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="there already"):
        check_output(file, None, overwrite=False)
    check_output(tmp_path / "s.html", tables, overwrite=False)
    (tables / "classes.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"has classes.csv already"):
        check_output(tmp_path / "s.html", tables, overwrite=False)
    check_output(file, tables, overwrite=True)
    with pytest.raises(OutputExistsError, match="is a folder"):
        check_output(tmp_path, None, overwrite=True)
    with pytest.raises(OutputExistsError, match="is a file"):
        check_output(tmp_path / "s.html", file, overwrite=True)


@pytest.mark.slow
def test_a_thousand_classes_stay_a_file_to_send(make_run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((300, 1000)) < 0.05
    counts = (2000 / np.arange(1, 1001)).astype(int)
    for name, loss in (("a", {}), ("b", PLAIN)):
        logits = (rng.normal(size=truth.shape) + 2 * truth).astype(np.float32)
        make_run(
            name, image_ids=np.arange(300), targets=truth, logits=logits, num_train_images=5000,
            class_names=tuple(f"class {c}" for c in range(1000)), class_counts=counts, config=loss,
        )  # fmt: skip
    runs = [tmp_path / "runs" / name for name in "ab"]
    one = write_report(runs[:1], tmp_path / "one.html")
    assert one.stat().st_size < 5e6
    several = write_report(runs, tmp_path / "several.html")
    assert several.stat().st_size < 5e6
    assert "Only the first" in several.read_text()


def test_groups_have_the_colours_of_the_plots() -> None:
    style = (TEMPLATES / "report.css").read_text()
    light = style[: style.index("@media")]
    assert all(f"--{group}: {color};" in light for group, color in GROUP_COLORS.items())


def test_templates_style_and_script_are_in_the_wheel(repository: Path) -> None:
    setup = ConfigParser()
    setup.read(repository / "setup.cfg")
    patterns = setup["options.package_data"]["mlt.report"].split(", ")
    package = repository / "mlt" / "report"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    assert {TEMPLATES / name for name in ("page.html.jinja", "report.css", "report.js")} <= packed
    assert packed == {path for path in TEMPLATES.rglob("*") if path.is_file()}


def test_masked_labels_count_nowhere(make_run) -> None:
    run = make_run("a")
    p = load_run(run).predictions
    known = np.random.default_rng(5).random(p.targets.shape) < 0.7
    masked = replace(p, known=known)
    masked.save(run / "predictions.npz")
    before = make_page(load_report([run]))
    flipped = Predictions(
        p.image_ids, np.where(known, p.logits, 9).astype(np.float32), p.targets ^ ~known,
        p.class_names, p.class_counts, p.num_train_images, known,
    )  # fmt: skip
    flipped.save(run / "predictions.npz")
    after = make_page(load_report([run]))
    assert embedded(after.html)["methods"] == embedded(before.html)["methods"]
    assert [t.to_csv() for t in after.tables] == [t.to_csv() for t in before.tables]


@pytest.mark.parametrize(
    ("losses", "heights"),
    [
        ([-1.0, -1.5, -2.0], [30, 125, 220]),  # of a poly loss with a negative epsilon
        ([1.0, 0.0, -1.0], [30, 125, 220]),
        ([-1.0, -1.0, -1.0], [220, 220, 220]),
        ([2.0, 1.0, 1.0], [30, 125, 125]),  # from zero
        ([0.0, 0.0, 0.0], [220, 220, 220]),
    ],
)
def test_losses_may_be_negative(make_run, losses, heights) -> None:
    run = make_run("a")
    records = [{"epoch": e, "loss": loss, "mAP": None} for e, loss in enumerate(losses, 1)]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in records))
    drawing = training_lines([load_run(run)], "loss")
    line = re.search(r'<path d="([^"]*)" class="line total">', drawing)[1]
    assert [float(point.split()[1]) for point in line[1:].split("L")] == heights
    assert "Mean loss of each epoch" in make_page(load_report([run]), thumbnails=False).html


def test_evaluations_within_epochs_lie_between_them(make_run) -> None:
    run = make_run("a")
    records = [
        {"epoch": 0, "part_of_epoch": 0.5, "loss": 0.5, "mAP": {"total": 0.1}},
        {"epoch": 1, "loss": 0.4, "mAP": None},
        {"epoch": 1, "part_of_epoch": 0.5, "loss": 0.3, "mAP": {"total": 0.2}},
        {"epoch": 2, "loss": 0.3, "mAP": {"total": 0.3}},
    ]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in records))
    drawing = training_lines([load_run(run)], "loss")
    line = re.search(r'<path d="([^"]*)" class="line total">', drawing)[1]
    across = [float(point.split()[0]) for point in line[1:].split("L")]
    steps = np.diff(across)
    assert len(across) == 4 and np.allclose(steps, steps[0], atol=0.2) and steps[0] > 10
    (row,) = run_table(load_report([run])).rows
    assert row[3] == 2  # epochs


def test_captions_say_which_images_training_was_watched_on(make_run, tiny_root: Path) -> None:
    part = {"annotations": "annotations/instances_test.json", "images": "test"}
    coco = {"name": "coco", "root": str(tiny_root), "train": part, "test": part}
    voc = {"name": "voc", "root": str(tiny_root)}
    watched = {
        "plain": coco, "coco": {**coco, "validation": part},
        "plain-voc": voc, "voc": {**voc, "validation_set": "val"},
    }  # fmt: skip
    runs = {name: make_run(name, config={"data": data}) for name, data in watched.items()}

    def caption(*names: str) -> str:
        report = load_report([runs[name] for name in names])
        html = make_page(report, thumbnails=False).html
        return re.search(r"mAP on ([^<]*?) after an epoch", html)[1]

    assert caption("plain") == caption("plain-voc") == "the test images"
    assert caption("coco") == caption("voc") == "the validation images"
    assert caption("plain", "plain-voc") == "the test images"
    assert caption("coco", "voc") == "the validation images"
    both = "the validation images (coco, voc) or test images (plain)"
    assert caption("plain", "coco", "voc") == both
