"""Importing costs little: each package loads its own libraries and no heavier ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = {"accelerate", "detectron2", "lvis", "mmdet", "transformers", "ultralytics"}
HEAVY = FRAMEWORKS | {
    "matplotlib", "onnx", "PIL", "pycocotools", "pydantic", "scipy", "sklearn", "timm", "torch",
    "torchvision",
}  # fmt: skip


def imported(repository: Path, *arguments: str) -> set[str]:
    """All that Python imports when it runs with these arguments."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}


# `import *` loads every public name, also those that are loaded on demand.
@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        ("import mlt, mlt.losses, mlt.data, mlt.models, mlt.report, mlt.run_folder", set()),
        ("import mlt.data.cache; from mlt.data import *", {"scipy"}),
        ("from mlt.metrics import *; from mlt.predictions import *", {"scipy"}),
        ("from mlt.config import *", {"pydantic"}),
        ("from mlt.losses import *", {"pydantic", "torch"}),
        ("import mlt.detection; mlt.detection.evaluate_coco", set()),
        ("from mlt.detection import *", {"scipy", "torch"}),
        ("from mlt.models import *", {"PIL", "pydantic", "timm", "torch", "torchvision"}),
    ],
)
def test_a_package_loads_only_its_own_libraries(
    repository: Path, program: str, allowed: set[str]
) -> None:
    assert imported(repository, "-c", program) & HEAVY <= allowed


def test_an_adapter_loads_its_framework_only_in_use(repository: Path) -> None:
    adapters = ("mmdet", "transformers", "ultralytics")
    program = "\n".join(f"import mlt.detection.{adapter}" for adapter in adapters)
    assert imported(repository, "-c", program) & HEAVY <= {"pydantic", "scipy", "torch"}


@pytest.mark.parametrize("arguments", [["-m", "mlt"], ["tools/train.py"], ["tools/report.py"]])
def test_help_loads_nothing_heavy(repository: Path, arguments: list[str]) -> None:
    assert not imported(repository, *arguments, "--help") & (HEAVY | {"numpy"})


def test_a_dry_run_loads_nothing_that_it_does_not_use(repository: Path, tmp_path: Path) -> None:
    """Not even Weights & Biases, which timm imports where it is installed."""
    run = ["-m", "mlt", "train", "digits_mlt_bce", "--dry-run", "--set", f"data.root={tmp_path}"]
    imported(repository, *run)  # writes the data set, with scikit-learn
    loaded = imported(repository, *run)
    assert "timm" in loaded
    assert not loaded & {"matplotlib", "onnx", "pycocotools", "sklearn", "wandb.sdk"}
