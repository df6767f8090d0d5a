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

if TYPE_CHECKING:
    from mlt.class_groups import GroupLimits
    from mlt.predictions import Predictions

DESCRIPTION = """\
Evaluate a checkpoint on the test images of a configuration (or, with --validation, on its
validation images), predictions that were saved, or those of another tool.

  mlt evaluate configs/voc_mlt_bce.yaml --checkpoint runs/voc_mlt_bce/best.safetensors
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

    if arguments.output:
        check_free(arguments.output, arguments.overwrite)
    validating = arguments.validation or Path(arguments.predictions or "").stem == "validation"
    part: Literal["test", "validation"] = "validation" if validating else "test"
    predictions, limits, thresholds = _predict(arguments, part)
    summary = summarize(predictions, limits=limits, threshold=thresholds, beta=arguments.beta)
    if arguments.classes:
        print(class_table(summary, auroc=arguments.auroc) + "\n")
    print(result_table(summary, part, auroc=arguments.auroc))
    if arguments.rates or arguments.beta is not None:
        print("\n" + rates_table(summary))
    if arguments.output:
        saved = arguments.predictions is not None and not is_table(arguments.predictions)
        write_results(arguments.output, summary, None if saved else predictions)
    return 0


def _predict(
    arguments: argparse.Namespace, part: Literal["test", "validation"]
) -> tuple[Predictions, GroupLimits, float | tuple[float, ...]]:
    """What is evaluated, where head and tail begin, and the thresholds of the labels."""
    from mlt.class_groups import GroupLimits
    from mlt.errors import ConfigError

    file, config, checkpoint = arguments.predictions, arguments.config, arguments.checkpoint
    head, tail = GroupLimits().head, GroupLimits().tail
    thresholds: float | tuple[float, ...] = 0.0
    if file is not None and is_table(file) and checkpoint is None:
        if config is not None:
            from mlt.config import load_config

            evaluation = load_config(config, arguments.overrides).evaluation
            head, tail = evaluation.head, evaluation.tail
        predictions = read_predictions(arguments, file, config, part)
    else:
        of_config = config or arguments.overrides or arguments.validation
        if (
            (file is None) == (checkpoint is None)
            or (file and of_config)
            or (checkpoint and not config)
        ):
            raise ConfigError(
                "give either CONFIG and --checkpoint FILE, or --predictions FILE.npz alone, or "
                "--predictions of another tool with --targets FILE or CONFIG"
            )
        refuse_table_arguments(arguments, "predictions.npz and checkpoints know all this")
        if file is not None:
            from mlt.predictions import Predictions

            predictions = Predictions.load(file)
        else:
            from mlt.config import load_config
            from mlt.engine.evaluate import evaluate_checkpoint, tuned_thresholds

            loaded = load_config(config, arguments.overrides)
            head, tail = loaded.evaluation.head, loaded.evaluation.tail
            predictions = evaluate_checkpoint(loaded, checkpoint, part)
            thresholds = tuned_thresholds(checkpoint)
    limits = GroupLimits(
        head=head if arguments.head is None else arguments.head,
        tail=tail if arguments.tail is None else arguments.tail,
    )
    return predictions, limits, thresholds
