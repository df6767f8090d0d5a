"""Cross-validation: one run for each configuration and fold, and what comes out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlt.class_groups import GroupLimits
from mlt.config import Config
from mlt.data.names import name_difference
from mlt.data.sources.base import OwnDataSettings
from mlt.data.splits.partition import Partition
from mlt.data.splits.parts import cut_partition, fold_fractions
from mlt.engine.compare import Plan, check_plans
from mlt.errors import ConfigError, DataError
from mlt.metrics import Summary, summarize
from mlt.predictions import Predictions

__all__ = ["FoldResults", "fold_results", "plan_folds", "pooled", "saved_folds"]


@dataclass(frozen=True)
class FoldResults:
    """The results of one method.

    Attributes:
        folds: The evaluation of each fold that was trained, on its own images.
        together: Every image predicted by the run that was not trained on it.
        summary: The evaluation of these predictions as one set of images.
    """

    folds: tuple[Summary, ...]
    together: Predictions
    summary: Summary

    @property
    def values(self) -> np.ndarray:
        """(folds,) mAP of each fold."""
        return np.array([fold.total for fold in self.folds])

    @property
    def aurocs(self) -> np.ndarray:
        """(folds,) mean AUROC of each fold; NaN where no class has one."""
        return np.array(
            [f.details.auroc.centres["total"] if f.details else np.nan for f in self.folds], float
        )


def saved_folds(folds: str, config: Config, output: str | Path) -> tuple[str, int]:
    """The file of the folds, cut first if only their number is given.

    Args:
        folds: A file that `mlt split --folds` wrote, or a number.
        config: Its training images are cut.
        output: Folder that the file is then written to, as ``folds.json``, and found again.

    Returns:
        The file and the number of folds.

    Raises:
        ConfigError: If the file holds no folds, or another number of them.
    """
    file = Path(output) / "folds.json" if folds.isdecimal() else Path(folds)
    if folds.isdecimal() and not file.exists():
        if int(folds) < 2:
            raise ConfigError(f"--folds must be at least 2, got {folds}")
        source = _own_data(config).source()
        table = source.read_all()
        fractions = fold_fractions(int(folds))
        cut_partition("folds", table, fractions, files=source.files()).save(file)
    count = Partition.load(file).num_folds
    if not count or (folds.isdecimal() and count != int(folds)):
        raise ConfigError(f"--folds: {file} holds {count or 'no'} folds; name another file")
    return str(file), count


def plan_folds(
    configs: Mapping[str, Config], file: str, count: int, output: str | Path
) -> dict[str, list[Plan]]:
    """Lay out one run for each configuration and fold, in folders ``NAME-foldK`` of ``output``.

    Args:
        configs: By the name of the method.
        file: The saved folds.
        count: How many there are.
        output: Folder of the run folders.

    Returns:
        The plans of each method, one a fold.

    Raises:
        ConfigError: If a folder holds a run of another configuration, or the data is published.
        OutputExistsError: If a folder holds something else.
        DataError: If the configurations have different classes or test images.
    """

    def plan(name: str, fold: int) -> Plan:
        run = f"{name}-fold{fold}"
        data = _own_data(configs[name]).of_fold(file, fold)
        update = {"data": data, "output": str(Path(output) / run)}
        return Plan(run, configs[name].model_copy(update=update))

    plans = {name: [plan(name, fold) for fold in range(count)] for name in configs}
    # Configurations that agree on the images of one fold agree on those of all.
    first = {folds[0].name: folds[0].config for folds in plans.values()}
    check_plans([plan for folds in plans.values() for plan in folds], first)
    return plans


def fold_results(plans: Sequence[Plan]) -> FoldResults | None:
    """The results of the folds of one method that are finished; None where none is.

    Args:
        plans: The folds.
    """
    done = [plan for plan in plans if plan.finished]
    if not done:
        return None
    evaluation = plans[0].config.evaluation
    limits = GroupLimits(head=evaluation.head, tail=evaluation.tail)
    predictions = [Predictions.load(plan.folder.predictions) for plan in done]
    together = pooled(predictions)
    folds = tuple(summarize(one, limits=limits) for one in predictions)
    return FoldResults(folds, together, summarize(together, limits=limits))


def pooled(folds: Sequence[Predictions]) -> Predictions:
    """The predictions of all folds as one set: each image by the run that was not trained on it.

    The training counts are the means over the folds, rounded.

    Args:
        folds: Predictions of different images, with the same classes.

    Raises:
        DataError: If the classes differ, or an image is in two folds.
    """
    first = folds[0]
    for other in folds[1:]:
        if difference := name_difference(
            first.class_names, other.class_names, "the first fold", "another fold"
        ):
            raise DataError(f"the folds have different classes: {difference}")
    known = [np.ones_like(p.targets) if p.known is None else p.known for p in folds]
    counts = [p.class_counts for p in folds if p.class_counts is not None]
    groups = [p.groups for p in folds if p.groups is not None]
    images = [p.num_train_images for p in folds if p.num_train_images is not None]
    return Predictions(
        image_ids=np.concatenate([p.image_ids for p in folds]),
        logits=np.concatenate([p.logits for p in folds]),
        targets=np.concatenate([p.targets for p in folds]),
        class_names=first.class_names,
        class_counts=np.rint(np.mean(counts, axis=0)).astype(np.int64) if counts else None,
        num_train_images=round(float(np.mean(images))) if images else None,
        known=None if all(p.known is None for p in folds) else np.concatenate(known),
        groups=np.concatenate(groups) if len(groups) == len(folds) else None,
        activation=first.activation,
    )


def _own_data(config: Config) -> OwnDataSettings:
    if not isinstance(config.data, OwnDataSettings):
        raise ConfigError(
            f"--folds: the data {config.data.name} has a published split; folds are for data of "
            "your own"
        )
    return config.data
