"""`mlt evaluate`: evaluate a checkpoint, or predictions that were saved."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlt.cli.arguments import add_overrides

DESCRIPTION = """\
Evaluate a checkpoint on the test images of a configuration (or, with --validation, on its
validation images), or predictions that were saved.

  mlt evaluate configs/voc_mlt_bce.yaml --checkpoint runs/voc_mlt_bce/best.safetensors
  mlt evaluate --predictions runs/voc_mlt_bce/predictions.npz --classes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="says which images")
    parser.add_argument("--checkpoint", metavar="FILE", help="a .safetensors file of a run")
    parser.add_argument("--predictions", metavar="FILE.npz", help="predictions.npz of a run")
    add_overrides(parser, "data.root=/data/coco")
    parser.add_argument(
        "--validation", action="store_true", help="evaluate the validation images of CONFIG"
    )
    parser.add_argument("--head", type=int, metavar="N", help="head classes have >= N images")
    parser.add_argument("--tail", type=int, metavar="N", help="tail classes have < N images")
    parser.add_argument("--classes", action="store_true", help="print every class too")
    parser.add_argument(
        "--rates",
        action="store_true",
        help="print precision, recall, F1 and the order of labels too; at the thresholds that the "
        "checkpoint has from `mlt tune`, else at a probability of one half",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="also write metrics.json, and predictions.npz of a checkpoint, to this folder",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files in that folder")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.errors import ConfigError

    by_checkpoint = arguments.config is not None and arguments.checkpoint is not None
    by_predictions = arguments.predictions is not None
    mixed = by_predictions and (
        arguments.config or arguments.checkpoint or arguments.overrides or arguments.validation
    )
    if mixed or not (by_checkpoint or by_predictions):
        raise ConfigError(
            "give either CONFIG and --checkpoint FILE, or --predictions FILE.npz alone"
        )
    from mlt.engine.evaluate import (
        Part,
        check_free,
        evaluate_checkpoint,
        limits_from,
        tuned_thresholds,
        write_results,
    )
    from mlt.metrics import Predictions, class_table, rates_table, result_table, summarize

    if arguments.output:
        check_free(arguments.output, arguments.overwrite)
    thresholds: float | tuple[float, ...] = 0.0
    validating = arguments.validation or Path(arguments.predictions or "").stem == "validation"
    part: Part = "validation" if validating else "test"
    if by_predictions:
        predictions = Predictions.load(arguments.predictions)
        limits = limits_from(arguments.head, arguments.tail)
    else:
        from mlt.config import load_config

        config = load_config(arguments.config, arguments.overrides)
        limits = limits_from(
            arguments.head, arguments.tail, config.evaluation.head, config.evaluation.tail
        )
        predictions = evaluate_checkpoint(config, arguments.checkpoint, part)
        thresholds = tuned_thresholds(arguments.checkpoint)
    summary = summarize(predictions, limits=limits, threshold=thresholds)
    if arguments.classes:
        print(class_table(summary) + "\n")
    print(result_table(summary, part))
    if arguments.rates:
        print("\n" + rates_table(summary))
    if arguments.output:
        write_results(arguments.output, summary, None if by_predictions else predictions)
    return 0
