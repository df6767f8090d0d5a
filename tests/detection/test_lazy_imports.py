"""An adapter imports its framework when it is used, not when it is imported."""

from __future__ import annotations

import subprocess
import sys

ADAPTERS = ("detectron2", "frequency", "lvis", "mmdet", "transformers", "ultralytics")
FRAMEWORKS = ("accelerate", "detectron2", "lvis", "mmdet", "pycocotools", "transformers")


def test_adapters_import_no_framework() -> None:
    lines = ["import sys", *(f"import mlt.detection.{name}" for name in ADAPTERS)]
    names = {*FRAMEWORKS, "ultralytics", "torchvision"}
    lines.append(f"found = {names!r} & set(sys.modules)")
    lines.append("assert not found, found")
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
