"""What a report is about: methods, each with its runs, on the same test images."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlt.class_counts import ClassCounts
from mlt.class_groups import seen_and_unseen
from mlt.errors import ConfigError, DataError
from mlt.predictions import Predictions, align
from mlt.report.runs import Run, load_run

__all__ = ["Method", "Report", "listed", "load_report"]

_FOLD = re.compile(r"-fold\d+$|-all-folds$")
_NAMED = 6
"""Up to so many methods are named in a sentence."""


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

    @cached_property
    def auroc(self) -> NDArray[np.float64]:
        """(C,) AUROC, the mean over the runs."""
        return np.mean([run.auroc for run in self.runs], axis=0)


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
    def class_counts(self) -> ClassCounts:
        """Classes, training counts and groups: of the baseline's first run, for all methods."""
        return self.baseline.first.class_counts

    @property
    def untested(self) -> list[str]:
        """Names of the classes without a test image, whose average precision is undefined."""
        positives = self.baseline.first.positives
        return [name for name, n in zip(self.class_counts.names, positives) if n == 0]

    @property
    def groups_note(self) -> str:
        """Whose groups all methods have, where not all are trained on the same counts; or empty."""
        classes, label = self.class_counts, self.baseline.name

        def differ(run: Run) -> bool:
            return not np.array_equal(run.class_counts.counts, classes.counts)

        others = []
        for method in self.methods:
            runs = list(filter(differ, method.runs))
            if len(runs) == len(method.runs):
                others.append(f"{method.name} (by its own: {_sizes(runs[0].class_counts)})")
            else:
                others += [f"{run.name} (by its own: {_sizes(run.class_counts)})" for run in runs]
                label = self.baseline.first.name if runs and method is self.baseline else label
        if not others:
            return ""
        return (
            f"Head, medium and tail are those of {label}'s training split "
            f"({_sizes(classes)} classes). Trained on other counts: {listed(others, '; ')}."
        )

    @property
    def groups(self) -> dict[str, NDArray[np.intp]]:
        """Classes of head, medium and tail, and of seen and unseen where there are both."""
        return {**self.class_counts.groups, **seen_and_unseen(self.class_counts.counts)}

    @property
    def single_classes(self) -> dict[str, list[int]]:
        """Every class as a group of its own, named by its index."""
        return {str(c): [c] for c in range(self.class_counts.num_classes)}

    @property
    def order(self) -> NDArray[np.intp]:
        """Classes from the most to the least frequent in training."""
        return np.argsort(-self.class_counts.counts, kind="stable")


def load_report(runs: Sequence[str | Path | Run], baseline: str | None = None) -> Report:
    """Read runs, check that they can be compared, and group them into methods.

    Args:
        runs: Run folders, or what was read already.
        baseline: A method's name or a run's folder; by default that of the first run.

    Raises:
        MissingFileError: If a folder has no predictions.
        DataError: If the runs are of different images, classes or targets.
        ConfigError: If the baseline is not one of the runs, or a run is given twice.
    """
    if not runs:
        raise ConfigError("give at least one run folder")
    read: list[Run] = []
    for path in runs:
        run = path if isinstance(path, Run) else load_run(path)
        read.append(_aligned(read[0], run) if read else run)
    methods = _methods(read)
    chosen = _baseline(methods, baseline)
    return Report((chosen, *(m for m in methods if m is not chosen)))


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Join names for a sentence; of many, the first and how many more.

    Example:
        >>> listed(["a", "b", "c", "d", "e", "f", "g", "h"])
        'a, b, c, d, e, f, and 2 more'
    """
    more = len(names) - _NAMED
    return separator.join([*names[:_NAMED], *([f"and {more} more"] if more > 0 else [])])


def _sizes(classes: ClassCounts) -> str:
    """How many classes each group has."""
    return ", ".join(f"{len(members)} {group}" for group, members in classes.groups.items())


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
        hint = ""
        if _FOLD.search(run.path.stem):
            hint = (
                "; the folds of a cross-validation have different test images: give the file "
                "NAME-all-folds.npz of each method, which has them all"
            )
        raise DataError(f"{first.path} and {run.path} cannot be compared: {error}{hint}") from error


def _methods(runs: Sequence[Run]) -> list[Method]:
    together: dict[str, list[Run]] = {}
    for run in runs:
        counts = [run.predictions.num_train_images, run.class_counts.counts.tolist()]
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


def _named(groups: list[list[Run]]) -> list[tuple[str, list[Run]]]:
    """A name for each method: its folder's without the seed, or a path where that is not enough."""
    if len(groups) == 1 and len(groups[0]) == 1:
        return [(groups[0][0].name, groups[0])]
    names = [group[0].method_name for group in groups]
    if len(set(names)) < len(names):
        names = [str(group[0].path) for group in groups]
    return list(zip(names, groups, strict=True))


def _baseline(methods: Sequence[Method], wanted: str | None) -> Method:
    if wanted is None:
        return methods[0]
    for method in methods:
        folders = [run.path.resolve() for run in method.runs]
        if wanted in (method.name, method.first.method_name) or Path(wanted).resolve() in folders:
            return method
    names = ", ".join(m.name for m in methods)
    raise ConfigError(f"no method or run {wanted!r} to compare with; there are: {names}")
