"""A picture of how many training images each class has, with matplotlib (the extra `plot`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlt.class_counts import ClassCounts
from mlt.class_groups import GROUPS
from mlt.errors import ConfigError
from mlt.files import atomic_write

__all__ = ["GROUP_COLORS", "check_plot", "plot_class_counts"]

# Told apart by readers who see colours differently, and in grey (Okabe and Ito's palette).
GROUP_COLORS = {"head": "#0072b2", "medium": "#e69f00", "tail": "#d55e00"}


def check_plot(path: str | Path) -> None:
    """Reject a picture that cannot be drawn, before anything else is done.

    Raises:
        ConfigError: If matplotlib is not installed, or cannot write such a format.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise ConfigError("a plot needs matplotlib: pip install 'mlt[plot]'") from error
    allowed = FigureCanvasAgg.filetypes
    if Path(path).suffix.lstrip(".").lower() not in allowed:
        raise ConfigError(f"cannot draw {path}: the suffix must be one of {', '.join(allowed)}")


def plot_class_counts(classes: ClassCounts, path: str | Path, title: str = "") -> None:
    """Draw the training images of every class, from head to tail.

    Args:
        classes: Counts and groups.
        path: The picture; its suffix says which format (.png, .svg, .pdf).
        title: Stands above the picture.

    Raises:
        ConfigError: If matplotlib is not installed, or cannot write such a format.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    order = np.argsort(-classes.counts, kind="stable")
    figure = Figure(figsize=(max(6.0, 0.17 * classes.num_classes), 4.0), layout="constrained")
    axes = figure.subplots()
    axes.bar(
        np.arange(classes.num_classes),
        classes.counts[order],
        color=[GROUP_COLORS[classes.group_of(int(c))] for c in order],
    )
    names = [classes.names[c] for c in order]
    axes.set_xticks(np.arange(classes.num_classes), names, rotation=90, fontsize=7)
    axes.set_xlim(-0.7, classes.num_classes - 0.3)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylabel("training images (logarithmic)")
    axes.set_title(title)
    for group in GROUPS:
        label = f"{group}: {len(classes.groups[group])} classes, {classes.limits.describe()[group]}"
        axes.bar(0, 0, color=GROUP_COLORS[group], label=label)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)
