"""`mlt tune`: thresholds and calibration from validation images, kept in the checkpoint."""

from __future__ import annotations

import argparse

from mlt.cli.arguments import add_overrides

DESCRIPTION = """\
Tune a threshold for each label, and calibrate its probabilities, on validation images. Both are
kept in the checkpoint, where `mlt predict` and `mlt export` find them.

  mlt tune runs/mine/last.safetensors --predictions runs/mine/validation.npz
  mlt tune runs/mine/last.safetensors --config my.yaml --set data.validation=validation.csv
  mlt tune runs/mine/last.safetensors --config my.yaml --goal precision --target 0.9

With --config, `data.validation` names the images; where a configuration has none, its test images
are taken, with a warning. Use images that the model was not trained on and that no result will be
reported on: a run with validation images keeps its predictions of them in validation.npz, and
refuses to be tuned on its test images then."""


SHOWN = 30
"""Labels up to which the thresholds are printed without being asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file of a run")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", metavar="CONFIG", help="names the validation images")
    source.add_argument(
        "--predictions", metavar="FILE.npz", help="of this checkpoint: a run's validation.npz"
    )
    add_overrides(parser, "data.validation=validation.csv")
    parser.add_argument(
        "--goal",
        choices=["f_beta", "precision", "recall", "rate"],
        default="f_beta",
        help="highest F-beta; most recall at a precision; most precision at a recall; a share of "
        "the images (default: %(default)s)",
    )
    parser.add_argument(
        "--target",
        type=float,
        metavar="X",
        help="beta (default: 1), or the precision, recall or share to be reached",
    )
    parser.add_argument(
        "--shrinkage",
        type=float,
        default=10.0,
        metavar="N",
        help="positives at which a label's own threshold and the common one weigh the same "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--calibration",
        choices=["none", "temperature", "platt", "platt_per_label"],
        help="default: platt_per_label; temperature for a model with a softmax, which has no "
        "thresholds",
    )
    parser.add_argument(
        "--classes",
        action="store_true",
        help=f"print every label's threshold also where there are more than {SHOWN}",
    )
    parser.add_argument(
        "--allow-test-images",
        action="store_true",
        help="tune on the test images of a run that has validation images",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.engine.tune import tune_checkpoint
    from mlt.errors import ConfigError
    from mlt.metrics.tables import decision_table, tuned_table

    target = arguments.target
    if target is None:
        if arguments.goal != "f_beta":
            raise ConfigError(f"--goal {arguments.goal} needs --target, for example --target 0.9")
        target = 1.0
    config = None
    if arguments.config is not None:
        from mlt.config import load_config

        config = load_config(arguments.config, arguments.overrides)
    elif arguments.overrides:
        raise ConfigError("--set changes a configuration: it goes with --config")
    tuned = tune_checkpoint(
        arguments.checkpoint,
        config if config is not None else arguments.predictions,
        goal=arguments.goal,
        target=target,
        shrinkage=arguments.shrinkage,
        calibration=arguments.calibration,
        allow_test_images=arguments.allow_test_images,
    )
    labels = len(tuned.decision.calibration.class_names)
    if arguments.classes or labels <= SHOWN:
        print(decision_table(tuned.decision) + "\n")
    print(tuned_table(tuned))
    if not arguments.classes and labels > SHOWN:
        print(f"--classes prints the thresholds of the {labels} labels")
    return 0
