"""What a run runs with."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

__all__ = ["environment", "launch"]


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
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "launch": launch(),
        "packages": {name: _version(name) for name in packages},
    }


def launch() -> str | None:
    """What tells one call of torchrun from another; it starts processes again under the same."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    # Without --rdzv-id all calls have the same name, but not the same parent process.
    return f"{name}-{os.getppid()}" if name == "none" else name


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # mlt itself, run from a clone that is not installed
        return None
