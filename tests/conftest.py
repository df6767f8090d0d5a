"""What all tests share."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

# The tests' tensors are tiny: more threads only wait for each other. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

# How long an example takes depends on what else the machine does.
settings.register_profile("mlt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mlt")

REPOSITORY = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = "needs real photographs"


def judge_skip(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Say how to get what is absent; under CI only photographs may be absent, all else fails."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    file, line, reason = report.longrepr  # type: ignore[misc]
    if "could not import" in reason:
        reason += "; it comes with `pip install --editable '.[dev]'`"
    report.longrepr = (file, line, reason)
    if os.environ.get("CI") == "true" and PHOTOGRAPHS not in reason:
        report.outcome = "failed"
        report.longrepr = f"{file}:{line}: {reason}\nUnder CI only real photographs may be absent."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    """Put back how NumPy prints, which Ultralytics changes when it is imported."""
    with np.printoptions():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Judge files that skip as a whole."""
    report = yield
    judge_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Judge tests that skip."""
    report = yield
    judge_skip(report)
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs beside the repository; tests skip where it is absent."""
    folder = Path(os.environ.get("MLT_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"{PHOTOGRAPHS}, and {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden numbers; its README says what each is."""
    return REPOSITORY / "tests" / "golden"


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of the published splits' label lists; its README says what each is."""
    return REPOSITORY / "tests" / "published"


@pytest.fixture(scope="session")
def published_labels(published: Path) -> Callable[[str], dict[str, list[int]]]:
    """Read a list of `published` by name: image id to class indices, in the list's order."""

    def read(name: str) -> dict[str, list[int]]:
        rows = [line.split() for line in (published / f"{name}.txt").read_text().splitlines()]
        return {image_id: [int(c) for c in classes] for image_id, *classes in rows}

    return read


@pytest.fixture(scope="session")
def voc_devkit(
    published_labels: Callable[[str], dict[str, list[int]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """All annotations of VOC2012 trainval and VOC2007 test in VOC's layout; no photographs."""
    from mlt.data.published import VOC_CLASSES

    root = tmp_path_factory.mktemp("VOCdevkit")
    for year, part in (("VOC2012", "trainval"), ("VOC2007", "test")):
        labels = published_labels(f"{year.lower()}_{part}_labels")
        annotations, sets = root / year / "Annotations", root / year / "ImageSets" / "Main"
        annotations.mkdir(parents=True)
        sets.mkdir(parents=True)
        (sets / f"{part}.txt").write_text("".join(f"{image_id}\n" for image_id in labels))
        for image_id, classes in labels.items():
            objects = "".join(
                f"<object><name>{VOC_CLASSES[c]}</name><difficult>{n % 2}</difficult></object>"
                for n, c in enumerate(classes * 2)
            )
            (annotations / f"{image_id}.xml").write_text(
                f"<annotation><filename>{image_id}.jpg</filename>{objects}</annotation>"
            )
    return root


def write_coco(root: Path, part: str, labels: list[list[int]], names: list[str]) -> None:
    """Write images and annotations of one part of a small COCO-format data set.

    Each class is a coloured square in a place of its own, so that a small net can learn it.
    """
    colors = np.random.default_rng(0).integers(80, 256, (len(names), 3))
    images, annotations = [], []
    (root / part).mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(labels))
    for number, classes in enumerate(labels):
        pixels = noise.integers(0, 60, (32, 32, 3), dtype=np.uint8)
        for c in classes:
            row, column = 8 * (c // 4), 8 * (c % 4)
            pixels[row : row + 8, column : column + 8] = colors[c]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": 10 * (c + 1),
                    "bbox": [column, row, 8, 8],
                    "area": 64,
                    "iscrowd": 0,
                }
            )
        Image.fromarray(pixels).save(root / part / f"{number:04}.png")
        images.append(
            {"id": number + 1, "file_name": f"{number:04}.png", "width": 32, "height": 32}
        )
    categories = [{"id": 10 * (c + 1), "name": name} for c, name in enumerate(names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def embedded_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded data, which take ten seconds to render: once for all of pytest's processes."""
    from mlt.data.digits import write_digits

    base = tmp_path_factory.getbasetemp()
    return write_digits((base.parent if base.name.startswith("popen-") else base) / "digits_mlt")


@pytest.fixture(scope="session")
def tiny_names() -> list[str]:
    """Class names of the tiny data set, from frequent to rare."""
    return ["person", "cat", "dog", "yeti"]


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory, tiny_names: list[str]) -> Path:
    """A small long-tailed COCO-format data set that no test may change."""
    root = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(1)

    def draw(n: int, prior: list[float]) -> list[list[int]]:
        return [[c for c in range(4) if rng.random() < prior[c]] for _ in range(n)]

    write_coco(root, "train", draw(48, [0.7, 0.4, 0.2, 0.1]), tiny_names)
    write_coco(root, "test", draw(32, [0.5, 0.5, 0.5, 0.5]), tiny_names)
    return root


@pytest.fixture
def tiny_root(tiny_source: Path, tmp_path: Path) -> Path:
    """A copy of the tiny data set that a test may damage."""
    return Path(shutil.copytree(tiny_source, tmp_path / "data"))


def _tiny_values(root: Path, output: Path) -> dict[str, Any]:
    return {
        "seed": 0,
        "output": str(output),
        "device": "cpu",
        "data": {
            "name": "coco",
            "root": str(root),
            "train": {"annotations": "annotations/instances_train.json", "images": "train"},
            "test": {"annotations": "annotations/instances_test.json", "images": "test"},
        },
        "transforms": {"name": "plain", "size": 32, "shift": 1},
        "model": {"backbone": "test_resnet", "weights": "none"},
        "loss": {"focusing": {"name": "focal"}},
        "optimizer": {"name": "adamw", "lr": 3e-3},
        "training": {"epochs": 3, "batch_size": 16, "workers": 0},
        "evaluation": {"head": 20, "tail": 10},
    }


@pytest.fixture
def tiny_values(tiny_source: Path, tmp_path: Path) -> dict[str, Any]:
    """A configuration, as plain values, that trains on the tiny data set in a second or two."""
    return _tiny_values(tiny_source, tmp_path / "runs" / "tiny")


@pytest.fixture(scope="session")
def tiny_run(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on the tiny data set; no test may change it."""
    from mlt.config import parse_config
    from mlt.engine.train import train

    values = _tiny_values(tiny_source, tmp_path_factory.mktemp("runs") / "tiny")
    values["training"] = values["training"] | {"epochs": 15}  # enough to be better than chance
    train(parse_config(values))
    return Path(values["output"])


TINY_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a tiny model that open_clip knows, and a file of random weights of it."""
    open_clip = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "mlt-tiny.json").write_text(json.dumps(TINY_CLIP))
    open_clip.add_model_config(folder)
    import torch

    torch.manual_seed(3)
    model = open_clip.create_model("mlt-tiny", pretrained=None)
    file = folder / "tiny.pt"
    torch.save(model.state_dict(), file)
    return "mlt-tiny", file
