"""A run folder, read: what a report knows of one run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.config.yaml_text import parse_yaml
from mlt.errors import DataError, MissingFileError
from mlt.files import NOT_JSON, read_json_object
from mlt.metrics import Calibration, Decision, auroc, average_precision
from mlt.models.checkpoint import decision_copy
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

__all__ = ["HANDED_OVER", "Run", "load_run"]

# What may differ between runs of one method: chance, places and speed.
_NOT_THE_METHOD = (
    ("seed",),
    ("output",),
    ("device",),
    ("data", "root"),
    ("training", "workers"),
    ("evaluation", "batch_size"),
)


_SEED = re.compile(r"(?:^|[-_.])(?:seed|s)[-_=]?\d+$", re.IGNORECASE)


HANDED_OVER = "handed_over"
"""Key of a section of the configuration that Python replaced, with what it handed over."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, read; or a file of predictions, of which no more is known.

    Attributes:
        path: The folder or the file.
        predictions: Logits and targets of the test images.
        limits: Where head, medium and tail begin.
        config: The configuration as plain values; empty if there is none.
        history: One record per epoch, and per evaluation within one.
        decision: Thresholds and calibration, if `mlt tune` was there.
        checks: What these gave on images that they were not tuned on.
    """

    path: Path
    predictions: Predictions
    limits: GroupLimits
    config: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()
    decision: Decision | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int | None:
        """The seed of the configuration."""
        return self.config.get("seed")

    @property
    def name(self) -> str:
        """The last parts of the path that say which run this is."""
        *_, parent, last = self._parts
        return f"{parent}/{last}" if _SEED.fullmatch(last) else last

    @property
    def method_name(self) -> str:
        """The folder's name without the seed; of a folder ``seed0`` that of the one it is in."""
        *_, parent, last = self._parts
        return _SEED.sub("", last) or parent

    @property
    def _parts(self) -> tuple[str, ...]:
        path = self.path.resolve()
        return (path.with_suffix("") if path.is_file() else path).parts

    @cached_property
    def ap(self) -> NDArray[np.float64]:
        """(C,) average precision, NaN where undefined."""
        p = self.predictions
        return average_precision(p.targets, p.log_odds, p.known)

    @cached_property
    def auroc(self) -> NDArray[np.float64]:
        """(C,) area under the ROC curve, NaN where undefined."""
        p = self.predictions
        return auroc(p.targets, p.log_odds, p.known)

    @cached_property
    def positives(self) -> NDArray[np.intp]:
        """(C,) test images known to have the class."""
        p = self.predictions
        return (p.targets if p.known is None else p.targets & p.known).sum(axis=0)

    @cached_property
    def prevalence(self) -> NDArray[np.float64]:
        """(C,) share of the test images that have the class; the AP of a random order."""
        known = self.predictions.known
        images = len(self.predictions) if known is None else known.sum(axis=0)
        return self.positives / np.maximum(images, 1)

    @cached_property
    def class_counts(self) -> ClassCounts:
        """Training counts and groups."""
        return self.predictions.training_counts(self.limits)

    @property
    def watches_validation(self) -> bool:
        """Whether the mAP after an epoch is of validation images, and not of the test images."""
        data = self.config.get("data", {})  # VOC's has a validation_set
        data = data.get(HANDED_OVER, data)
        return any(data.get(key) is not None for key in ("validation", "validation_set"))

    @property
    def calibration(self) -> Calibration | None:
        """What turns logits into probabilities, if it is more than the sigmoid."""
        tuned = self.decision.calibration if self.decision else None
        return None if tuned is None or tuned.method == "none" else tuned

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration without what is not part of the method."""
        return _without(self.config, _NOT_THE_METHOD)


def load_run(path: str | Path) -> Run:
    """Read a run folder, any folder with ``predictions.npz``, or such a file of another name.

    Raises:
        MissingFileError: If it has no predictions.
        DataError: If a file in it is damaged.
    """
    file = Path(path)
    if file.is_file() and file.suffix == ".npz" and file.name != "predictions.npz":
        return Run(file, Predictions.load(file), GroupLimits(), {})
    folder = RunFolder(file.parent if file.name == "predictions.npz" else file)
    if not folder.predictions.exists():
        raise MissingFileError(_no_run(folder))
    predictions = Predictions.load(folder.predictions)
    if not len(predictions):
        raise DataError(f"{folder.predictions} has no image: the test split was empty")
    config = _read_config(folder)
    for section, what in folder.read_handed_over().items():
        config[section] = {HANDED_OVER: what}
    tuned = read_json_object(decision_copy(folder.last))
    return Run(
        path=folder.path,
        predictions=predictions,
        limits=_limits(read_json_object(folder.metrics).get("limits") or config.get("evaluation")),
        config=config,
        history=tuple(folder.read_history()),
        decision=_decision(tuned, predictions, folder.path) if tuned else None,
        checks=tuned.get("checks") or {},
    )


def _no_run(folder: RunFolder) -> str:
    path = folder.path
    if not path.is_dir():
        return f"{path} is not a run folder; give the folder that `mlt train` wrote"
    # A hidden one is a run that was set aside; the pattern below does not fit it.
    inside = [child for child in path.glob("[!.]*") if (child / "predictions.npz").exists()]
    if inside:
        return f"{path} is a folder of {len(inside)} runs, not a run; give them: {path}/*"
    if folder.state.exists():
        return f"the run in {path} is not finished (no predictions.npz); train with --resume"
    return f"no predictions file {folder.predictions}; a run writes predictions.npz"


def _decision(tuned: Mapping[str, Any], predictions: Predictions, path: Path) -> Decision:
    decision = Decision.from_json(tuned)
    if decision.calibration.class_names != predictions.class_names:
        raise DataError(f"{path}: thresholds and predictions are of different classes; tune again")
    return decision


def _read_config(folder: RunFolder) -> dict[str, Any]:
    """The configuration of a run as plain values; empty without the file."""
    path = folder.config
    if not path.is_file():
        return {}
    folder.check_config()
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("data", {}), dict):
        raise DataError(f"{path} does not hold what a run writes there")
    return value


def _limits(stored: Any) -> GroupLimits:
    """Where the groups begin, as a run has saved it; the published limits if it has not."""
    try:
        return msgspec.convert(stored or {}, GroupLimits)
    except NOT_JSON as error:
        raise DataError(f"the limits of head and tail are {stored!r}: {error}") from None


def _without(values: dict[str, Any], paths: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    dropped = {path[0] for path in paths if len(path) == 1}
    return {
        key: _without(value, [p[1:] for p in paths if len(p) > 1 and p[0] == key])
        if isinstance(value, dict)
        else value
        for key, value in values.items()
        if key not in dropped
    }
