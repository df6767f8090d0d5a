"""Early stopping: when a metric of the validation images no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlt.class_groups import GROUPS
from mlt.config.training import EarlyStoppingConfig
from mlt.data.one_label import exactly_one_label
from mlt.engine.setup import Setup
from mlt.errors import ConfigError

__all__ = ["Stop", "check_early_stopping", "stop_of"]


@dataclass(frozen=True)
class Stop:
    """Why training ends before its last epoch.

    Attributes:
        epoch: The epoch in which it ends, from 1.
        updates: Updates until then.
        metric: The metric that no longer improved.
        best: Its best value.
        best_updates: Updates until that was measured.
        evaluations: Evaluations since without an improvement.
    """

    epoch: int
    updates: int
    metric: str
    best: float
    best_updates: int
    evaluations: int

    def __str__(self) -> str:
        """What happened, in one sentence."""
        return (
            f"{self.metric} has not improved on {self.best:.4g} of update {self.best_updates} in "
            f"{self.evaluations} evaluation{'' if self.evaluations == 1 else 's'}"
        )


def stop_of(config: EarlyStoppingConfig, records: Sequence[Mapping[str, Any]]) -> Stop | None:
    """Decide whether training ends, from nothing but its lines; so a resumed run decides the same.

    Args:
        config: What has to improve, and how long it may take.
        records: The lines of ``metrics.jsonl`` so far, in order; those without the metric, after
            which nothing was evaluated, do not count.

    Returns:
        Why it ends; None to go on.

    Example:
        >>> lines = [
        ...     {"epoch": e, "updates": 10 * e, "mAP": {"total": value}}
        ...     for e, value in enumerate([0.25, 0.5, 0.5, 0.375], start=1)
        ... ]
        >>> stop_of(EarlyStoppingConfig(patience=3), lines)
        >>> print(stop_of(EarlyStoppingConfig(patience=2), lines))
        mAP.total has not improved on 0.5 of update 20 in 2 evaluations
    """
    sign = -1 if config.metric == "loss" else 1
    best, best_updates, since = -math.inf, 0, 0
    for record in records:
        value = _value(record, config.metric)
        if value is None:
            continue
        if sign * value > best + config.min_delta:
            best, best_updates, since = sign * value, record["updates"], 0
        else:
            since += 1
    if since < config.patience:
        return None
    last = records[-1]
    epoch = last["epoch"] + bool(last.get("part_of_epoch"))
    return Stop(epoch, last["updates"], config.metric, sign * best, best_updates, since)


def _value(record: Mapping[str, Any], metric: str) -> float | None:
    if metric == "loss":
        return record.get("validation_loss")
    name, _, part = metric.partition(".")
    return (record.get(name) or {}).get(part)


def check_early_stopping(setup: Setup) -> None:
    """Refuse early stopping and a best epoch where the metric cannot be measured.

    Raises:
        ConfigError: If early stopping has no validation images, or none with a class whose metric
            it is; if top-1 accuracy is asked for of images with several labels.
    """
    config, validation = setup.config.training.early_stopping, setup.data.validation
    watched = setup.data.test if validation is None else validation
    by: dict[str, str] = {"evaluation.best_by": setup.config.evaluation.best_by}
    if config is not None:
        by["training.early_stopping.metric"] = config.metric
    for key, metric in by.items():
        if metric.startswith("top1") and not exactly_one_label(watched):
            raise ConfigError(
                f"{key}: {metric} is defined where every image has exactly one label, and the "
                f"{'test' if validation is None else 'validation'} images do not; choose mAP"
            )
    if config is None:
        return
    if validation is None:
        raise ConfigError(
            "training.early_stopping: there are no validation images, and nothing is chosen on "
            "test images; name some (data.validation, for example data.validation: {fraction: "
            "0.2}, or data={'validation': ...} from Python), or leave it out"
        )
    name, _, part = config.metric.partition(".")
    counts = validation.class_counts(setup.class_counts.limits)
    measured = counts.counts > 0
    if name == "AUROC":
        measured &= counts.counts < (counts.total if counts.known is None else counts.known)
    if part in GROUPS:
        measured = measured[setup.class_counts.groups[part]]
    if name != "loss" and not measured.any():
        what = f"{part} class" if part in GROUPS else "class"
        needs = "is there and not everywhere" if name == "AUROC" else "is there"
        raise ConfigError(
            f"training.early_stopping.metric: {config.metric} is not defined, because no "
            f"{what} {needs} in the validation images (evaluation.head and evaluation.tail say "
            "which classes are head and tail); choose another metric"
        )
