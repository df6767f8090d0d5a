"""`mlt evaluate`: evaluate a checkpoint, or predictions that were saved."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlt.cli.arguments import add_ensemble, add_overrides
from mlt.cli.prediction_tables import (
    add_table_arguments,
    is_table,
    read_predictions,
    refuse_table_arguments,
)
from mlt.cli.process import import_timm

if TYPE_CHECKING:
    from mlt.class_groups import GroupLimits
    from mlt.config import Config
    from mlt.predictions import Predictions
    from mlt.runtime.processes import Processes

DESCRIPTION = """\
Evaluate a checkpoint on the test images of a configuration (or, with --validation, on its
validation images), predictions that were saved, or those of another tool. Several checkpoints, run
folders or files of predictions are an ensemble: the mean of their probabilities is evaluated.
Without CONFIG the images are those of the first checkpoint's run.

  mlt evaluate configs/voc_mlt_bce.yaml --checkpoint runs/voc_mlt_bce/best.safetensors
  torchrun --nproc-per-node 4 -m mlt evaluate configs/voc_mlt_bce.yaml --checkpoint last.safetensors
  mlt evaluate runs/seed0 runs/seed1 runs/seed2 --output runs/ensemble
  mlt evaluate a.safetensors b.safetensors --ensemble logits --set evaluation.views=[whole,mirror]
  mlt evaluate --predictions runs/voc_mlt_bce/predictions.npz --classes
  mlt evaluate --predictions scores.csv --probabilities --targets truth.csv --auroc --classes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths",
        metavar="CONFIG | CHECKPOINT",
        nargs="*",
        help="what says which images, .safetensors files of runs, or run folders, which stand for "
        "their last.safetensors",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        nargs="+",
        default=[],
        help=".safetensors files of runs; several are an ensemble",
    )
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        nargs="+",
        default=[],
        help="predictions.npz of a run, or scores.csv; several are an ensemble",
    )
    add_ensemble(parser)
    add_overrides(parser, "data.root=/data/coco")
    parser.add_argument(
        "--validation", action="store_true", help="evaluate the validation images of CONFIG"
    )
    parser.add_argument("--head", type=int, metavar="N", help="head classes have >= N images")
    parser.add_argument("--tail", type=int, metavar="N", help="tail classes have < N images")
    parser.add_argument("--auroc", action="store_true", help="print AUROC beside mAP")
    parser.add_argument("--classes", action="store_true", help="print every class too")
    parser.add_argument(
        "--rates",
        action="store_true",
        help="print precision, recall, F1 and the order of labels too; at the thresholds that the "
        "checkpoint has from `mlt tune`, else at a probability of one half",
    )
    parser.add_argument(
        "--beta", type=float, metavar="B", help="print F-beta of these decisions too, for example 2"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="also write metrics.json, and predictions.npz where there was none, to this folder",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files in that folder")
    add_table_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.engine.results import check_free, write_results
    from mlt.metrics import class_table, rates_table, result_table, summarize
    from mlt.runtime.processes import joined

    with joined() as processes:
        with processes.together():
            if arguments.output:
                check_free(arguments.output, arguments.overwrite)
            _sort_paths(arguments)
        saved = arguments.predictions if not arguments.checkpoint else []
        of_validation = bool(saved) and all(Path(file).name == "validation.npz" for file in saved)
        validating = arguments.validation or of_validation
        part: Literal["test", "validation"] = "validation" if validating else "test"
        if any(map(is_table, saved)):
            predictions, limits = _of_tables(arguments, part)
            thresholds: tuple[float, ...] | None = None
        else:
            predictions, limits, thresholds = _of_models(arguments, part, processes)
        if not processes.is_main:
            return 0
    summary = summarize(predictions, limits=limits, threshold=thresholds, beta=arguments.beta)
    if arguments.classes:
        print(class_table(summary, auroc=arguments.auroc) + "\n")
    print(result_table(summary, part, auroc=arguments.auroc))
    if arguments.rates or arguments.beta is not None:
        print("\n" + rates_table(summary))
    if arguments.output:
        is_there = len(saved) == 1 and not is_table(saved[0])
        write_results(arguments.output, summary, None if is_there else predictions)
    return 0


def _sort_paths(arguments: argparse.Namespace) -> None:
    """Tell CONFIG, checkpoints, run folders and saved predictions apart, in place."""
    from mlt.errors import ConfigError

    others, checkpoints = [], []
    for path in map(Path, arguments.paths):
        if path.is_dir():
            checkpoints.append(str(path / "last.safetensors"))
        elif path.suffix == ".safetensors":
            checkpoints.append(str(path))
        elif path.suffix == ".npz":
            arguments.predictions.append(str(path))
        else:
            others.append(str(path))
    if len(others) > 1:
        raise ConfigError(
            f"one CONFIG says which images, but there are {len(others)}: {', '.join(others)}; "
            "checkpoints end in .safetensors"
        )
    if arguments.predictions and checkpoints:
        raise ConfigError(
            "give either checkpoints or saved predictions; those of a checkpoint can be saved with "
            "`mlt evaluate CONFIG --checkpoint FILE --output DIR`"
        )
    arguments.checkpoint = [*arguments.checkpoint, *checkpoints]
    arguments.config = others[0] if others else None
    if checkpoints and arguments.config is None:
        beside = Path(arguments.checkpoint[0]).parent / "config.yaml"
        if not beside.is_file():
            raise ConfigError(
                f"give CONFIG, which says which images: there is no {beside}, the configuration of "
                "the checkpoint's run"
            )
        arguments.config = str(beside)


def _of_tables(
    arguments: argparse.Namespace, part: Literal["test", "validation"]
) -> tuple[Predictions, GroupLimits]:
    """Predictions of another tool, or their mean, and where head and tail begin."""
    from mlt.errors import ConfigError
    from mlt.metrics import mean_predictions

    config = None
    if arguments.config is not None:
        from mlt.config import load_config

        config = load_config(arguments.config, arguments.overrides)
    elif arguments.overrides:
        raise ConfigError("--set changes a configuration; give CONFIG")
    each = [read_predictions(arguments, file, config, part) for file in arguments.predictions]
    return mean_predictions(each, arguments.ensemble), _limits(arguments, config)


def _of_models(
    arguments: argparse.Namespace, part: Literal["test", "validation"], processes: Processes
) -> tuple[Predictions, GroupLimits, tuple[float, ...] | None]:
    """What was saved or checkpoints predict, where head and tail begin, and the thresholds."""
    from mlt.errors import ConfigError

    refuse_table_arguments(arguments, "predictions.npz and checkpoints know all this")
    files, checkpoints = arguments.predictions, arguments.checkpoint
    of_config = arguments.config or checkpoints or arguments.overrides or arguments.validation
    if files and not of_config:
        from mlt.metrics import mean_predictions
        from mlt.predictions import Predictions

        each = [Predictions.load(file) for file in files]
        return mean_predictions(each, arguments.ensemble), _limits(arguments, None), None
    if files or arguments.config is None or not checkpoints:
        raise ConfigError(
            "give either CONFIG and --checkpoint FILE, or --predictions FILE.npz alone, or "
            "--predictions of another tool with --targets FILE or CONFIG"
        )
    import_timm()
    from mlt.config import load_config
    from mlt.engine.evaluate import evaluate_ensemble, tuned_thresholds

    with processes.together():
        config = load_config(arguments.config, arguments.overrides)
    predictions = evaluate_ensemble(
        config, checkpoints, part, arguments.ensemble, processes=processes
    )
    return predictions, _limits(arguments, config), tuned_thresholds(*checkpoints)


def _limits(arguments: argparse.Namespace, config: Config | None) -> GroupLimits:
    """Where head and tail begin: as the arguments say, else the configuration, else by default."""
    from mlt.class_groups import GroupLimits

    limits = GroupLimits() if config is None else config.evaluation
    head = limits.head if arguments.head is None else arguments.head
    return GroupLimits(head=head, tail=limits.tail if arguments.tail is None else arguments.tail)
