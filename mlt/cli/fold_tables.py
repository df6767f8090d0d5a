"""Cross-validation at a glance: the mean over folds, their spread, and all images together."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import numpy as np

from mlt.engine.folds import FoldResults
from mlt.metrics import compare_seeds
from mlt.metrics.confidence.interval import UNDEFINED
from mlt.metrics.text import bounds, percent

__all__ = ["difference_table", "fold_table"]


def fold_table(results: Mapping[str, FoldResults]) -> str:
    """A line for each method, and what may be concluded from it.

    Args:
        results: By the name of the method.
    """
    width = max(6, *map(len, results))
    lines = [
        f"{'method':{width}} {'folds':>5} {'mean mAP':>10} {'sd':>6} {'lowest':>7} {'highest':>8} "
        f"{'all images':>11} {'corrected':>10} {'interval':>16}"
    ]
    for name, result in results.items():
        summary = result.summary
        total = summary.details.intervals.means["total"] if summary.details else UNDEFINED
        lines.append(
            f"{name:{width}} {_of_folds(result.values)} {percent(summary.total):>11} "
            f"{percent(total.centre):>10} {bounds(total):>16}"
        )
    lines.append(lines[0].replace("  mean mAP", "mean AUROC").replace("corrected", " " * 9))
    for name, result in results.items():
        details = result.summary.details
        area = details.auroc.means["total"] if details else UNDEFINED
        lines.append(
            f"{name:{width}} {_of_folds(result.aurocs)} {percent(area.centre):>11} "
            f"{'':>10} {bounds(area):>16}"
        )
    undefined = sorted({name for r in results.values() for f in r.folds for name in f.undefined})
    if undefined:
        lines.append(f"without an image in some fold, so not in its mean: {', '.join(undefined)}")
    lines += [
        "In percent. Any two folds share training images, so the folds are not independent:",
        "sd is their spread, and no interval may be made of it as of seeds. The interval is of all",
        "images together, each predicted by the run that was not trained on it (and the scores of",
        "these runs ranked as one): over other images, for runs such as these.",
    ]
    return "\n".join(lines)


def _of_folds(values: np.ndarray) -> str:
    """Number, mean, standard deviation, lowest and highest of the values that are defined."""
    values = values[~np.isnan(values)]
    if not len(values):
        return f"{0:>5} {'-':>10} {'-':>6} {'-':>7} {'-':>8}"
    spread = percent(float(np.std(values, ddof=1))) if len(values) > 1 else "-"
    return (
        f"{len(values):>5} {percent(float(values.mean())):>10} {spread:>6} "
        f"{percent(float(values.min())):>7} {percent(float(values.max())):>8}"
    )


def difference_table(results: Mapping[str, FoldResults]) -> str:
    """The difference of each method from the first, on all images together, paired by image.

    Args:
        results: By the name of the method; those of other images than the first are left out.

    Returns:
        A line for each, or nothing where there is one method.
    """
    (baseline, first), *_ = results.items()
    ids = set(first.together.image_ids.tolist())
    lines = []
    for name, result in islice(results.items(), 1, None):
        if set(result.together.image_ids.tolist()) != ids:
            lines.append(f"{name} - {baseline}: not of the same images, some folds are missing")
            continue
        found = compare_seeds([result.together], [first.together])["total"]
        lines.append(
            f"{name} - {baseline}: {100 * found.value:+.2f} points of mAP, "
            f"{100 * found.low:+.2f} to {100 * found.high:+.2f}"
        )
    return "\n".join(lines)
