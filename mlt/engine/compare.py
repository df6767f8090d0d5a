"""Several configurations, each with several seeds: train what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlt.config import Config, changed_keys, load_config
from mlt.data import LabelTable
from mlt.data.names import name_difference
from mlt.engine.early_stopping import stop_of
from mlt.engine.resume import MAY_CHANGE
from mlt.engine.train import train
from mlt.errors import ConfigError, DataError, OutputExistsError, TrainingError
from mlt.run_folder import RunFolder

__all__ = ["Plan", "Trained", "check_plans", "plan_runs", "train_missing"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """One run of a comparison: its name, and its configuration with seed and folder."""

    name: str
    config: Config

    @property
    def folder(self) -> RunFolder:
        """Where the run is or will be."""
        return RunFolder(self.config.output)

    @property
    def finished(self) -> bool:
        """Whether it has been trained and evaluated."""
        folder = self.folder
        results = folder.metrics.exists() and folder.predictions.exists()
        if not results:
            return False
        stopping = self.config.training.early_stopping
        stopped = stopping is not None and stop_of(stopping, folder.read_history()) is not None
        return stopped or folder.recorded_epochs() >= self.config.training.epochs

    @property
    def begun(self) -> bool:
        """Whether it was interrupted and can be resumed."""
        return not self.finished and self.folder.has_state


@dataclass
class Trained:
    """The runs that are finished, and why others failed, by name."""

    runs: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def plan_runs(
    configs: Mapping[str, Config], seeds: Sequence[int], output: str | Path
) -> list[Plan]:
    """Lay out one run for each configuration and seed, in folders ``NAME-seedK`` of ``output``.

    Args:
        configs: By the name of the method.
        seeds: At least one.
        output: Folder of the run folders.

    Returns:
        Seed by seed, so that all methods can be compared early.

    Raises:
        ConfigError: If a folder holds a run of another configuration.
        OutputExistsError: If a folder holds something else.
        DataError: If the configurations have different classes or test images.
    """
    plans = [
        Plan(
            f"{name}-seed{seed}",
            config.model_copy(
                update={"seed": seed, "output": str(Path(output) / f"{name}-seed{seed}")}
            ),
        )
        for seed in seeds
        for name, config in configs.items()
    ]
    check_plans(plans, configs)
    return plans


def check_plans(plans: Iterable[Plan], configs: Mapping[str, Config]) -> None:
    """Refuse plans whose folders hold something else, or that could not be compared in the end.

    Args:
        plans: The runs.
        configs: Those whose test images must be the same, by name.

    Raises:
        ConfigError: If a folder holds a run of another configuration.
        OutputExistsError: If a folder holds something else.
        DataError: If the configurations have different classes or test images.
    """
    for plan in plans:
        _check(plan)
    _check_same_test(configs)


def train_missing(plans: Iterable[Plan]) -> Trained:
    """Train the runs that are not there yet, and resume those that were interrupted.

    A run whose loss stops being finite is reported and the others go on. Every other error ends
    the comparison; what was finished before stays, and the next call goes on from there.

    Args:
        plans: What :func:`plan_runs` gave.

    Raises:
        UserError: For whatever is wrong with configuration, data or weights.
        KeyboardInterrupt: When interrupted.
    """
    plans = list(plans)
    trained = Trained()
    for number, plan in enumerate(plans, start=1):
        what = "is there" if plan.finished else "resumes" if plan.begun else "trains"
        logger.info("run %d of %d: %s %s", number, len(plans), plan.name, what)
        try:
            if not plan.finished:
                train(plan.config, resume=plan.begun)
        except KeyboardInterrupt:
            logger.warning("the same command goes on from here")
            raise
        except TrainingError as error:
            logger.error("%s failed: %s", plan.name, error)
            trained.failed[plan.name] = str(error)
        else:
            trained.runs.append(plan.folder.path)
    return trained


def _check_same_test(configs: Mapping[str, Config]) -> None:
    """Refuse what could not be compared in the end, before anything is trained."""
    seen: dict[str, tuple[str, LabelTable]] = {}
    for name, config in configs.items():
        data = config.data.model_dump_json()
        if data not in seen:
            seen[data] = name, config.data.source(RunFolder(config.output).cache).test()
    first, *others = seen.values()
    for name, table in others:
        difference = name_difference(first[1].class_names, table.class_names, first[0], name)
        if difference:
            raise DataError(f"{first[0]} and {name} cannot be compared, classes: {difference}")
        if list(first[1].image_ids) != list(table.image_ids):
            raise DataError(
                f"{first[0]} and {name} cannot be compared: they are tested on different images"
            )


def _check(plan: Plan) -> None:
    folder = plan.folder
    folder.recover()
    if not folder.worth_keeping:
        return
    if not folder.config.exists() or not (plan.finished or plan.begun):
        raise OutputExistsError(
            f"--output: {folder.path} holds files of a run that cannot be resumed; remove them, or "
            "name another folder"
        )
    for key, value in folder.read_handed_over().items():
        raise ConfigError(
            f"--output: {folder.path} holds a run that was handed its {key} ({value}) from Python, "
            "which is not the configuration's; name another folder, or remove that one"
        )
    folder.check_config()
    changed = [key for key in changed_keys(load_config(folder.config), plan.config)
               if not key.startswith(MAY_CHANGE)]  # fmt: skip
    if changed:
        raise ConfigError(
            f"--output: {folder.path} holds a run of another configuration ({', '.join(changed)} "
            "differ); name another folder, or remove that one"
        )
