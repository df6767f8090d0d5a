"""Losses by their published names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mlt.class_counts import ClassCounts
from mlt.losses.base import Loss
from mlt.losses.build import build_from_counts
from mlt.losses.preset_options import resolve_preset
from mlt.losses.presets import PRESETS
from mlt.losses.reduce import check_reduction
from mlt.losses.settings import Reduction

__all__ = ["create_loss", "list_losses"]


def list_losses() -> list[str]:
    """Give the names that :func:`create_loss` knows.

    Example:
        >>> list_losses()[:4]
        ['asl', 'balanced_asl', 'bce', 'cb_bce']
    """
    return sorted(PRESETS)


def create_loss(
    name: str,
    class_counts: Sequence[float] | ClassCounts | None = None,
    num_images: int | None = None,
    reduction: Reduction = "mean",
    *,
    class_names: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Loss:
    """Create a published loss by its name.

    The name stands for a composition of parts (see `mlt.losses.presets`); the options and
    their defaults are those of the literature. The constant 2 by which the Distribution-Balanced
    code multiplies focal losses is the option ``scale`` (``balance_param`` is understood too): it
    is 2 for ``db_focal`` and ``r_focal``, which that code defines, and 1 for ``focal`` and
    ``cb_focal``.

    Args:
        name: One of :func:`list_losses`.
        class_counts: Positives of each class in the training split, or the split's `ClassCounts`;
            losses without weights or margins do without.
        num_images: Images the counts were taken over; only needed where the formula has it, and
            known to `ClassCounts`.
        reduction: `none`, `mean`, `sum` or `batchmean`.
        class_names: Names for warnings.
        generator: Source of the draw of the federated loss.
        **options: Of this loss, for example ``gamma``, ``beta``, ``scheme``, ``map_gamma``.

    Returns:
        A module, called as ``loss(logits, targets, known=None)``.

    Raises:
        ConfigError: If the name or an option is unknown, or counts are missing or impossible.

    Example:
        >>> loss = create_loss("cb_focal", [90, 30, 3], num_images=100, beta=0.99, gamma=2)
        >>> loss(torch.zeros(2, 3), torch.tensor([[1, 0, 0], [0, 1, 1]]))
        tensor(0.0177)
    """
    part = resolve_preset(name, {"reduction": check_reduction(reduction), **options})
    counts = None
    if class_counts is not None:
        counts = ClassCounts.from_counts(class_counts, num_images, names=class_names)
    return build_from_counts(part, counts, generator)
