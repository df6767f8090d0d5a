"""Pictures of splits, and runs as one HTML file: see :func:`write_report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["write_report"]


def write_report(
    runs: Sequence[str | Path],
    output: str | Path,
    *,
    baseline: str | None = None,
    thumbnails: bool = True,
) -> Path:
    """Write one self-contained HTML file about one run, or a comparison of several.

    Runs whose configurations differ only in their seed are one method. All must be evaluated on the
    same images with the same classes. A file that is there already is replaced.

    Args:
        runs: Run folders, or any folder with ``predictions.npz``.
        output: The file.
        baseline: What the other methods are compared with: a method's name or a run's folder. By
            default the method of the first run.
        thumbnails: Whether to embed the most wrong images, where the image files are at hand.

    Returns:
        The file that was written.

    Raises:
        MissingFileError: If a folder has no predictions.
        DataError: If the runs are of different images, classes or targets.
        ConfigError: If the baseline is none of the runs, or a run is given twice.
    """
    from mlt.report.methods import load_report
    from mlt.report.page import write_page

    return write_page(load_report(runs, baseline), output, thumbnails=thumbnails)
