"""From run folders to what a report is about: runs, and the methods they are runs of."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlt.config.yaml_text import parse_yaml
from mlt.data.stats import ClassStats, GroupLimits
from mlt.engine.folder import RunFolder
from mlt.errors import ConfigError, DataError
from mlt.metrics import Calibration, Predictions, Thresholds, average_precision
from mlt.metrics.compare import align

__all__ = ["Decision", "Method", "Report", "Run", "load_report", "load_run"]

# What may differ between runs of one method: chance, places and speed.
_NOT_THE_METHOD = (
    ("seed",),
    ("output",),
    ("device",),
    ("data", "root"),
    ("training", "workers"),
    ("evaluation", "batch_size"),
)


@dataclass(frozen=True)
class Decision:
    """What `mlt tune` left in a run folder."""

    thresholds: Thresholds | None
    calibration: Calibration | None
    checks: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, read.

    Attributes:
        path: The folder.
        predictions: Logits and targets of the test images.
        limits: Where head, medium and tail begin.
        config: The configuration as plain values; empty if there is none.
        history: A record an epoch.
        decision: Thresholds and calibration, if they were tuned.
    """

    path: Path
    predictions: Predictions
    limits: GroupLimits
    config: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()
    decision: Decision | None = None

    @property
    def seed(self) -> int | None:
        """The seed of the configuration."""
        return self.config.get("seed")

    @property
    def name(self) -> str:
        """The last parts of the path that say which run this is."""
        parts = self.path.resolve().parts
        return "/".join(parts[-2:] if _SEED.fullmatch(parts[-1]) else parts[-1:])

    @cached_property
    def ap(self) -> NDArray[np.float64]:
        """(C,) average precision, NaN where undefined."""
        p = self.predictions
        return average_precision(p.targets, p.logits, p.known)

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
    def stats(self) -> ClassStats:
        """Training counts and groups."""
        p = self.predictions
        return ClassStats.from_counts(
            p.class_counts, p.num_train_images, class_names=p.class_names, limits=self.limits
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration without what is no part of the method."""
        return _without(self.config, _NOT_THE_METHOD)


@dataclass(frozen=True, eq=False)
class Method:
    """Runs that differ only in their seed."""

    name: str
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run whose images and curves are shown."""
        return self.runs[0]

    @property
    def predictions(self) -> list[Predictions]:
        """Of all runs."""
        return [run.predictions for run in self.runs]

    @cached_property
    def ap(self) -> NDArray[np.float64]:
        """(C,) average precision, the mean over the runs."""
        return np.mean([run.ap for run in self.runs], axis=0)


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report is about; the baseline is the first method."""

    methods: tuple[Method, ...]

    @property
    def baseline(self) -> Method:
        """What the others are compared with."""
        return self.methods[0]

    @property
    def single(self) -> bool:
        """Whether there is nothing to compare."""
        return len(self.methods) == 1

    @property
    def stats(self) -> ClassStats:
        """Classes, training counts and groups."""
        return self.baseline.first.stats

    @property
    def single_classes(self) -> dict[str, list[int]]:
        """Every class as a group of its own, named by its index."""
        return {str(c): [c] for c in range(self.stats.num_classes)}

    @property
    def order(self) -> NDArray[np.intp]:
        """Classes from the most to the least frequent in training."""
        return np.argsort(-self.stats.counts, kind="stable")


def load_report(runs: Sequence[str | Path], baseline: str | None = None) -> Report:
    """Read runs, check that they can be compared, and gather them to methods.

    Args:
        runs: Run folders.
        baseline: A method's name or a run's folder; by default that of the first run.

    Raises:
        MissingFileError: If a folder has no predictions.
        DataError: If the runs are of different images, classes or targets.
        ConfigError: If the baseline is none of the runs, or a run is given twice.
    """
    if not runs:
        raise ConfigError("give at least one run folder")
    read: list[Run] = []
    for path in runs:
        run = load_run(path)
        read.append(_aligned(read[0], run) if read else run)
    methods = _methods(read)
    chosen = _baseline(methods, baseline)
    return Report((chosen, *(m for m in methods if m is not chosen)))


def load_run(path: str | Path) -> Run:
    """Read a run folder, or any folder with ``predictions.npz``.

    Raises:
        MissingFileError: If it has no predictions.
        DataError: If a file in it is damaged.
    """
    folder = RunFolder(path)
    predictions = Predictions.load(folder.predictions)
    if not len(predictions):
        raise DataError(f"{folder.predictions} has no image: the test split was empty")
    config = _read(folder.config, parse_yaml)
    limits = _read(folder.metrics, json.loads).get("limits") or config.get("evaluation", {})
    return Run(
        path=folder.path,
        predictions=predictions,
        limits=GroupLimits(head=limits.get("head", 100), tail=limits.get("tail", 20)),
        config=config,
        history=tuple(folder.read_history()),
        decision=_decision(folder.path / "decision.json", predictions),
    )


def _decision(path: Path, predictions: Predictions) -> Decision | None:
    stored = _read(path, json.loads)
    if not stored:
        return None
    thresholds = stored.get("thresholds") and Thresholds.from_json(stored["thresholds"])
    calibration = stored.get("calibration") and Calibration.from_json(stored["calibration"])
    for part in (thresholds, calibration):
        if part and part.class_names != predictions.class_names:
            raise DataError(f"{path} is of other classes than predictions.npz; tune again")
    return Decision(thresholds or None, calibration or None, stored.get("checks") or {})


def _read(path: Path, parse: Any) -> dict[str, Any]:
    """What a JSON or YAML file holds; empty without the file."""
    if not path.is_file():
        return {}
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} does not hold what a run writes there")
    return value


def _aligned(first: Run, run: Run) -> Run:
    """The run with its images in the order of the first."""
    if run.path.resolve() == first.path.resolve():
        raise ConfigError(f"the run {run.path} is given twice")
    if run.limits != first.limits:
        raise DataError(
            f"{first.path} and {run.path} have different limits of head and tail "
            f"({first.limits} and {run.limits}); evaluate them with the same"
        )
    try:
        return replace(run, predictions=align(first.predictions, run.predictions))
    except DataError as error:
        raise DataError(f"{first.path} and {run.path} cannot be compared: {error}") from error


def _methods(runs: Sequence[Run]) -> list[Method]:
    together: dict[str, list[Run]] = {}
    for run in runs:
        counts = [run.predictions.num_train_images, run.predictions.class_counts.tolist()]
        # A folder without a configuration is a method of its own.
        own = run.settings or str(run.path.resolve())
        together.setdefault(json.dumps([own, counts], sort_keys=True, default=str), []).append(run)
    for group in together.values():
        seeds = [run.seed for run in group]
        for i, run in enumerate(group):
            if run.seed in seeds[:i]:
                raise ConfigError(
                    f"{group[seeds.index(run.seed)].path} and {run.path} are the same "
                    f"configuration with the same seed; give one of them"
                )
    return [Method(name, tuple(group)) for name, group in _named(list(together.values()))]


_SEED = re.compile(r"(?:^|[-_.])(?:seed|s)[-_=]?\d+$", re.IGNORECASE)


def _named(groups: list[list[Run]]) -> list[tuple[str, list[Run]]]:
    """A name for each method: its folder's without the seed, or the path where that is not enough.

    The folder of a run called ``seed0`` is named by the folder that it is in.
    """
    if len(groups) == 1 and len(groups[0]) == 1:
        return [(groups[0][0].name, groups[0])]
    names = []
    for group in groups:
        *_, parent, last = group[0].path.resolve().parts
        names.append(_SEED.sub("", last) or parent)
    if len(set(names)) < len(names):
        names = [str(group[0].path) for group in groups]
    return list(zip(names, groups, strict=True))


def _baseline(methods: Sequence[Method], wanted: str | None) -> Method:
    if wanted is None:
        return methods[0]
    for method in methods:
        folders = [run.path.resolve() for run in method.runs]
        if wanted == method.name or Path(wanted).resolve() in folders:
            return method
    names = ", ".join(m.name for m in methods)
    raise ConfigError(f"no method or run {wanted!r} to compare with; there are: {names}")


def _without(values: dict[str, Any], paths: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    dropped = {path[0] for path in paths if len(path) == 1}
    return {
        key: _without(value, [p[1:] for p in paths if len(p) > 1 and p[0] == key])
        if isinstance(value, dict)
        else value
        for key, value in values.items()
        if key not in dropped
    }
