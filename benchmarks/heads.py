"""Heads on a frozen backbone: mAP and time to train.

    python benchmarks/heads.py own_data_coco --set data.root=PATH/coco-mini transforms.size=224
    python benchmarks/heads.py own_data_coco --set data={name: voc, root: PATH/voc-part} \
        transforms.size=224
    python benchmarks/heads.py own_data_coco --seeds 0 --epochs 4 --set data.root=PATH/coco-mini \
        transforms.size=128 training.features={crops: 0}   # quick

A row is a head, with weight decay and learning rate as the configuration has them or as the row
says. Each is judged on a fifth of the training images, which it does not see (``--test`` judges on
the test images, with all training images, for a figure to report once a choice has been made).
Prints Markdown: mean and standard deviation over the seeds, and seconds of CPU of a run whose
features are cached.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import mlt
from mlt.config import load_config
from mlt.metrics import Summary, summarize
from mlt.predictions import Predictions


def rows() -> Iterator[tuple[str, list[str]]]:
    """Name and overrides of each head."""
    linear = "model.head={name: linear, standardize: true}"
    yield "linear", [linear]
    for weight in (0.3, 1.0):
        for temperatures in ("[1]", "[max]", "[1, 2, 4, max]"):
            head = f"{{name: csra, temperatures: {temperatures}, attention_weight: {weight}}}"
            for decay in (0.004, 0.015):
                yield (
                    f"csra {temperatures}, lambda {weight}, standardised, decay {decay}",
                    [
                        f"model.head={head[:-1]}, standardize: true}}",
                        f"optimizer.weight_decay={decay}",
                    ],
                )


def main() -> None:
    """Train all heads with all seeds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--only", default="", help="heads whose row contains this")
    parser.add_argument("--test", action="store_true", help="judge on the test images")
    arguments = parser.parse_args()
    logging.getLogger("mlt").setLevel(logging.WARNING)
    print("| head | mAP | head | medium | tail | CPU, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as folder:
        for number, (name, overrides) in enumerate(rows()):
            if arguments.only not in name:
                continue
            found = [
                measure(arguments, overrides, seed, Path(folder) / f"{number}-{seed}")
                for seed in arguments.seeds
            ]
            cells = []
            for group in ("total", "head", "medium", "tail"):
                values = [getattr(summary, group) for summary, _ in found]
                cells.append(f"{100 * np.mean(values):.1f} ± {100 * np.std(values):.1f}")
            seconds = min(taken for _, taken in found)
            print(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


def measure(
    arguments: argparse.Namespace, overrides: list[str], seed: int, output: Path
) -> tuple[Summary, float]:
    """Results of a run, and its seconds of CPU."""
    cut = [] if arguments.test else ["data.validation={fraction: 0.2}"]
    config = load_config(
        arguments.config,
        [
            *arguments.overrides,
            *overrides,
            *cut,
            f"seed={seed}",
            f"output={output}",
            f"training.epochs={arguments.epochs}",
            "evaluation.every=0",
        ],
    )
    start = time.process_time()
    summary = mlt.train(config)
    seconds = time.process_time() - start
    if not arguments.test:
        summary = summarize(Predictions.load(output / "validation.npz"))
    return summary, seconds


if __name__ == "__main__":
    main()
