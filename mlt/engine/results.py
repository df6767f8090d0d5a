"""What an evaluation leaves in a folder. Importing this does not import PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlt.errors import OutputExistsError
from mlt.files import write_json_object
from mlt.metrics import Summary
from mlt.predictions import Predictions

__all__ = ["check_free", "write_results"]


def check_free(folder: str | Path, overwrite: bool) -> None:
    """Refuse to write results over earlier ones unless told to.

    Raises:
        OutputExistsError: If the folder has results already.
    """
    taken = [n for n in ("metrics.json", "predictions.npz") if (Path(folder) / n).exists()]
    if taken and not overwrite:
        raise OutputExistsError(
            f"--output {folder} has {' and '.join(taken)} already; --overwrite replaces them"
        )


def write_results(
    folder: str | Path,
    summary: Summary,
    predictions: Predictions | None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write ``metrics.json``, and ``predictions.npz`` if predictions are given, to a folder.

    Args:
        folder: Where to.
        summary: The results.
        predictions: What they were computed from.
        more: What else ``metrics.json`` has to say.
    """
    if predictions is not None:
        predictions.save(Path(folder) / "predictions.npz")
    write_json_object(Path(folder) / "metrics.json", {**summary.to_json(), **(more or {})})
