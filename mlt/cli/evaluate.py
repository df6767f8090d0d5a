"""`mlt evaluate`: evaluate a checkpoint, or predictions that were saved."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlt.cli.arguments import add_overrides
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
validation images), predictions that were saved, or those of another tool.

  mlt evaluate configs/voc_mlt_bce.yaml --checkpoint runs/voc_mlt_bce/best.safetensors
  torchrun --nproc-per-node 4 -m mlt evaluate configs/voc_mlt_bce.yaml --checkpoint last.safetensors
  mlt evaluate --predictions runs/voc_mlt_bce/predictions.npz --classes
  mlt evaluate --predictions scores.csv --probabilities --targets truth.csv --auroc --classes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="says which images")
    parser.add_argument("--checkpoint", metavar="FILE", help="a .safetensors file of a run")
    parser.add_argument(
        "--predictions", metavar="FILE", help="predictions.npz of a run, or scores.csv"
    )
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

    if arguments.output:
        check_free(arguments.output, arguments.overwrite)
    saved = arguments.predictions if not arguments.checkpoint else None
    validating = arguments.validation or Path(saved or "").name == "validation.npz"
    part: Literal["test", "validation"] = "validation" if validating else "test"
    with joined() as processes:
        if saved and is_table(saved):
            predictions, limits = _of_table(arguments, part)
            thresholds: float | tuple[float, ...] = 0.0
        else:
            predictions, limits, thresholds = _of_model(arguments, part, processes)
        if not processes.is_main:
            return 0
    summary = summarize(predictions, limits=limits, threshold=thresholds, beta=arguments.beta)
    if arguments.classes:
        print(class_table(summary, auroc=arguments.auroc) + "\n")
    print(result_table(summary, part, auroc=arguments.auroc))
    if arguments.rates or arguments.beta is not None:
        print("\n" + rates_table(summary))
    if arguments.output:
        is_there = saved is not None and not is_table(saved)
        write_results(arguments.output, summary, None if is_there else predictions)
    return 0


def _of_table(
    arguments: argparse.Namespace, part: Literal["test", "validation"]
) -> tuple[Predictions, GroupLimits]:
    """Predictions of another tool, and where head and tail begin."""
    from mlt.errors import ConfigError

    config = None
    if arguments.config is not None:
        from mlt.config import load_config

        config = load_config(arguments.config, arguments.overrides)
    elif arguments.overrides:
        raise ConfigError("--set changes a configuration; give CONFIG")
    return read_predictions(arguments, arguments.predictions, config, part), _limits(
        arguments, config
    )


def _of_model(
    arguments: argparse.Namespace, part: Literal["test", "validation"], processes: Processes
) -> tuple[Predictions, GroupLimits, float | tuple[float, ...]]:
    """What was saved or a checkpoint predicts, where head and tail begin, and the thresholds."""
    from mlt.errors import ConfigError

    refuse_table_arguments(arguments, "predictions.npz and checkpoints know all this")
    file, checkpoint = arguments.predictions, arguments.checkpoint
    by_checkpoint = arguments.config is not None and checkpoint is not None and file is None
    of_config = arguments.config or checkpoint or arguments.overrides or arguments.validation
    if file is not None and not of_config:
        from mlt.predictions import Predictions

        return Predictions.load(file), _limits(arguments, None), 0.0
    if not by_checkpoint:
        raise ConfigError(
            "give either CONFIG and --checkpoint FILE, or --predictions FILE.npz alone, or "
            "--predictions of another tool with --targets FILE or CONFIG"
        )
    import_timm()
    from mlt.config import load_config
    from mlt.engine.evaluate import evaluate_checkpoint, tuned_thresholds

    with processes.together():
        config = load_config(arguments.config, arguments.overrides)
    predictions = evaluate_checkpoint(config, checkpoint, part, processes=processes)
    return predictions, _limits(arguments, config), tuned_thresholds(checkpoint)


def _limits(arguments: argparse.Namespace, config: Config | None) -> GroupLimits:
    """Where head and tail begin: as the arguments say, else the configuration, else by default."""
    from mlt.class_groups import GroupLimits

    limits = GroupLimits() if config is None else config.evaluation
    head = limits.head if arguments.head is None else arguments.head
    return GroupLimits(head=head, tail=limits.tail if arguments.tail is None else arguments.tail)
