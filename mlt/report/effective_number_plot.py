"""A picture of effective numbers and weights over beta, with matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlt.class_counts import ClassCounts
from mlt.files import atomic_write
from mlt.losses.class_weights import effective_numbers
from mlt.losses.effective_number import BetaWeights, over_betas
from mlt.report.class_counts_plot import check_plot

__all__ = ["plot_effective_numbers"]

MOST_CLASSES = 10
"""Curves in the right panel: of classes chosen evenly from the most frequent to the rarest."""


def plot_effective_numbers(
    counts: ClassCounts, rows: Sequence[BetaWeights], path: str | Path
) -> None:
    """Draw effective number against n for each beta, and the weights of classes over beta.

    Args:
        counts: The counts.
        rows: What :func:`mlt.losses.effective_number.over_betas` returns for them.
        path: The picture; its suffix says which format (.png, .svg, .pdf).

    Raises:
        ConfigError: If matplotlib is not installed, or cannot write such a format.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = np.geomspace(1, max(counts.clamped.max(), 10), 100)
    for row in rows:
        left.plot(sizes, effective_numbers(sizes, row.beta), label=f"beta {row.beta:.6g}")
    left.plot(sizes, sizes, color="#555555", linestyle="--", linewidth=1, label="n")
    left.plot(counts.clamped, np.ones(len(counts)), "|", color="#555555", label="classes")
    left.set(xscale="log", yscale="log", xlabel="images n of a class", ylabel="effective number")

    # Over 1 / (1 - beta), the number of prototypes N that beta stands for.
    largest = max(1e5, *(1 / (1 - row.beta) for row in rows))
    prototypes = np.geomspace(1, largest, 60)
    curve = over_betas(counts, (1 - 1 / prototypes).tolist())
    order = np.argsort(-counts.counts, kind="stable")
    places = np.linspace(0, len(order) - 1, min(MOST_CLASSES, len(order))).round().astype(int)
    for c in order[places]:
        weights = [row.weights[c] for row in curve]
        label = f"{counts.names[c]} ({counts.counts[c]:g})"
        right.plot([1 / (1 - row.beta) for row in curve], weights, label=label)
    right.set(xscale="log", yscale="log", xlabel="1 / (1 - beta)", ylabel="weight (mean 1)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip("."), dpi=150)
