"""Reading annotations costs numpy, scipy, pyarrow and msgspec, nothing heavier."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "torchvision", "timm", "pycocotools", "matplotlib", "sklearn", "PIL", "pydantic")


def test_importing_the_data_package_is_cheap() -> None:
    program = (
        "import sys, mlt.data, mlt.data.cache\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
