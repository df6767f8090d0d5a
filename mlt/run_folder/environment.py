"""What a run runs with."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

__all__ = ["environment"]


def environment(device: str) -> dict[str, Any]:
    """Versions of everything that decides a result.

    Args:
        device: What the run computes on.

    Returns:
        Plain values for JSON.
    """
    packages = ["mlt", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow"]
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "packages": {name: _version(name) for name in packages},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # mlt itself, run from a clone that is not installed
        return None
