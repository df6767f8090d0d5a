"""A picture of a learning-rate range test, with matplotlib (the extra `plot`)."""

from __future__ import annotations

from pathlib import Path

from mlt.engine.lr_suggestions import RangeTest
from mlt.files import atomic_write
from mlt.report.class_counts_plot import check_plot

__all__ = ["plot_range_test"]


def plot_range_test(found: RangeTest, path: str | Path) -> None:
    """Draw the loss over the rate, with the suggestions and the configured rate.

    Args:
        found: The test.
        path: The picture; its suffix says which format (.png, .svg, .pdf).

    Raises:
        ConfigError: If matplotlib is not installed, or cannot write such a format.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color="#bbbbbb", linewidth=0.8, label="loss")
    axes.plot(found.rates, found.smoothed, color="#0072b2", label="smoothed")
    names = {"steepest": "steepest fall", "minimum_over_10": "lowest / 10"}
    marks = {names[name]: rate for name, rate in found.suggestions.items()}
    marks["configured"] = found.configured
    for (name, rate), colour in zip(marks.items(), ("#e69f00", "#d55e00", "#555555"), strict=True):
        axes.axvline(rate, color=colour, linestyle="--", linewidth=1, label=f"{name}: {rate:.2g}")
    axes.set_xscale("log")
    low, high = min(found.smoothed), max(found.smoothed[: max(1, len(found.smoothed) // 2)])
    axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip("."), dpi=150)
