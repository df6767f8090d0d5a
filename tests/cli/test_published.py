"""The published splits through the tools, from annotations alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlt.cli import main
from mlt.data.published import COCO_CLASSES

Labels = Callable[[str], dict[str, list[int]]]


@pytest.mark.slow
def test_voc_mlt_comes_out_id_by_id(
    published: Path,
    published_labels: Labels,
    voc_devkit: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "voc_mlt.json"
    assert main(["build-split", "voc-mlt", "--root", str(voc_devkit), "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    content = json.loads(output.read_text())
    assert content["image_ids"] == list(published_labels("voc_mlt_train_ids"))
    checks = json.loads((published / "checks.json").read_text())["voc_mlt"]
    assert content["num_images"] == checks["num_images"] == 1142
    assert content["class_counts"] == checks["class_counts"]
    assert content["sha256_sorted_ids"] == checks["sha256_sorted_ids"]
    assert content["matches_published"] is True
    assert "matches the published split" in printed
    assert "head: 6 classes" in printed
    assert "medium: 6 classes" in printed
    assert "tail: 8 classes" in printed


@pytest.fixture
def coco_root(published_labels: Labels, tmp_path: Path) -> Path:
    """COCO-format annotations of the images of the published COCO-MLT, and as many others."""
    labels = published_labels("coco_mlt_train_labels")
    others = {str(9_000_000 + n): [n % 80] for n in range(len(labels))}
    categories = [{"id": c + 1, "name": name} for c, name in enumerate(COCO_CLASSES)]
    images, annotations = [], []
    for image, classes in sorted({**labels, **others}.items(), key=lambda item: int(item[0])):
        images.append(
            {"id": int(image), "file_name": f"{int(image):012}.jpg", "width": 640, "height": 480}
        )
        for c in classes:
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": int(image),
                    "category_id": c + 1,
                    "bbox": [0, 0, 9, 9],
                    "area": 81,
                    "iscrowd": 0,
                }
            )
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    file = tmp_path / "coco" / "annotations" / "instances_train2017.json"
    file.write_text(json.dumps(content))
    return tmp_path / "coco"


def test_coco_mlt_comes_out_of_the_published_ids(
    published_labels: Labels, coco_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = published_labels("coco_mlt_train_labels")
    ids, output = tmp_path / "img_id.pkl", tmp_path / "coco_mlt.json"
    ids.write_text("\n".join(labels) + "\n")
    arguments = ["build-split", "coco-mlt", "--root", str(coco_root), "--output", str(output)]
    assert main([*arguments, "--image-ids", str(ids)]) == 0
    printed = capsys.readouterr().out
    content = json.loads(output.read_text())
    assert content["image_ids"] == [int(image) for image in labels]
    assert content["num_images"] == 1909
    assert content["matches_published"] is True
    assert "head: 22 classes" in printed
    assert "medium: 33 classes" in printed
    assert "tail: 25 classes" in printed

    # By the recipe, from these made-up annotations, it cannot be the published split; it says so.
    assert main([*arguments, "--overwrite"]) == 0
    assert "does NOT match the published split" in capsys.readouterr().out
    assert json.loads(output.read_text())["matches_published"] is False


def test_a_list_with_a_foreign_id_is_refused(
    coco_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ids.txt").write_text("554625\n123\n")
    arguments = ["build-split", "coco-mlt", "--root", str(coco_root)]
    arguments += ["--output", str(tmp_path / "x.json"), "--image-ids", str(tmp_path / "ids.txt")]
    assert main(arguments) == 2
    assert "123" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_a_dry_run_says_once_that_the_split_is_another(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [f"data.root={shared / 'data' / 'coco-mini'}", "model.weights=none"]
    assert main(["train", "coco_mlt_cb_focal", "--dry-run", "--set", *changes]) == 0
    assert capsys.readouterr().out.count("but the published split has 1,909") == 1


@pytest.mark.slow
def test_the_coco_configuration_trains_on_a_small_coco(
    shared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With COCO's layout and a few of its photographs, the published configuration runs."""
    caplog.set_level("INFO")
    changes = [
        f"data.root={shared / 'data' / 'coco-mini'}",
        f"output={tmp_path / 'run'}",
        "model={backbone: test_resnet, weights: none, freeze: [conv1, bn1, layer1],"
        " head: {name: projection}}",
        "training.epochs=1",
        "schedule={name: constant}",
        "transforms.size=64",
    ]
    assert main(["train", "coco_mlt_cb_focal", "--set", *changes]) == 0
    assert "mAP in percent over 210 test images" in capsys.readouterr().out
    assert "the training split is NOT the published one" in caplog.text
