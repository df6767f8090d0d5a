"""CIFAR-10-LT with the short recipe: cross entropy, class-balanced softmax and focal loss.

    python benchmarks/cifar_lt.py --root PATH/cifar10
    python benchmarks/cifar_lt.py --root PATH/cifar10 --losses cb_softmax --seeds 0
    python benchmarks/cifar_lt.py --root PATH/cifar10 --validation   # choose settings here
    python benchmarks/cifar_lt.py --root PATH/cifar10 --losses ce --seeds 0 --quick   # minutes
    python benchmarks/cifar_lt.py --root PATH/cifar10 --config cifar10_lt_ce   # the paper's recipe

PATH/cifar10 holds an archive or folders as docs/one_label_data.md says. All losses are trained with
the rest of one configuration and judged on the test images; with ``--validation`` on a tenth of the
training images of CIFAR-10, which are cut out before the long tail is. Prints Markdown: mean and
standard deviation over the seeds of the top-1 error in percent, the error of the five classes with
most and with fewest training images, and of one run the epochs and the seconds of CPU, evaluation
included. Runs in ``--output`` that are complete are not trained again.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from train_once import train_once

from mlt.cli.process import tune_process
from mlt.config import load_config
from mlt.predictions import Predictions

LOSSES = {
    "ce": "{preset: ce, options: {label_smoothing: 0.2}}",
    "cb_softmax": "{preset: cb_softmax, options: {beta: 0.9999, label_smoothing: 0.2}}",
    "cb_softmax late": "{preset: cb_softmax, "
    "options: {beta: 0.9999, label_smoothing: 0.2, start_epoch: 12}}",
    "cb_focal": "{preset: cb_focal_single, options: {beta: 0.9999, gamma: 1.0}}",
}
QUICK = ("data.imbalance=200", "training.epochs=1", "schedule.warmup_epochs=0.2")


def main() -> None:
    """Train every loss with every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="of the data set")
    parser.add_argument("--config", default="cifar10_lt_fast")
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), metavar="LOSS")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validation", action="store_true", help="judge on training images")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true", help="one epoch, fewer images")
    parser.add_argument("--output", help="keep the runs there, for another call")
    arguments = parser.parse_args()
    tune_process()
    logging.getLogger("mlt").setLevel(logging.INFO)
    print("| loss | error | first five | last five | epochs | CPU, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as temporary:
        folder = Path(arguments.output or temporary)
        for loss in arguments.losses or ("ce", "cb_softmax", "cb_focal"):
            runs = [run(arguments, loss, seed, folder) for seed in arguments.seeds]
            print_row(loss, runs)


def run(arguments: argparse.Namespace, loss: str, seed: int, folder: Path) -> dict[str, object]:
    """Errors of a run by class, its epochs and its seconds of CPU; trained once."""
    part = "validation" if arguments.validation else "test"
    output = folder / f"{arguments.config} {part} {loss} {seed}".replace(" ", "_")
    overrides = [f"loss={LOSSES[loss]}", f"data.root={arguments.root}", f"seed={seed}"]
    overrides += [f"output={output}", *(QUICK if arguments.quick else ())]
    if arguments.validation:
        overrides.append("data.validation={fraction: 0.1}")
    config = load_config(arguments.config, [*overrides, *arguments.overrides])
    predictions, seconds = train_once(config, test=not arguments.validation)
    errors = class_errors(predictions)
    return {"errors": errors, "epochs": config.training.epochs, "seconds": seconds}


def class_errors(predictions: Predictions) -> list[float]:
    """The share of each class's images that another class is predicted for, in percent."""
    truth = predictions.targets.argmax(axis=1)
    wrong = predictions.logits.argmax(axis=1) != truth
    return [100 * float(wrong[truth == c].mean()) for c in range(predictions.targets.shape[1])]


def print_row(loss: str, runs: list[dict[str, object]]) -> None:
    """A line of the table: means over the runs; all classes have as many images."""
    errors = np.array([run["errors"] for run in runs])
    means = [errors.mean(1), errors[:, :5].mean(1), errors[:, 5:].mean(1)]
    cells = [f"{of_runs.mean():.2f}" for of_runs in means]
    if len(runs) > 1:
        cells[0] += f" ± {means[0].std(ddof=1):.2f}"
    seconds = np.mean([run["seconds"] for run in runs])
    print(f"| {loss} | {' | '.join(cells)} | {runs[0]['epochs']} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
