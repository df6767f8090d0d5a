"""Does `mlt find-lr` help? Train at the rates that it suggests and at the configured one.

python benchmarks/find_lr.py --coco PATH/coco-mini --seeds 3 --output runs/find_lr
python benchmarks/find_lr.py --quick                # the embedded data alone, one seed, 4 epochs

Every run is of the last epoch. The photographs are judged on three tenths of the training images,
which the runs do not see; the embedded data, which has none to spare, on its test images. What is
there already is not trained again. The table is Markdown: rates and mAP in percent, means over the
seeds, each of which has a range test of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch

import mlt
from mlt.config import Config, load_config
from mlt.metrics import summarize
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

RATES = ("configured", "steepest", "minimum_over_10", "minimum")


def setups(coco: Path | None) -> dict[str, tuple[str, list[str]]]:
    """Name, and configuration with changes, of each task."""
    embedded = {
        "digits, bce, adamw": ("digits_mlt_bce", []),
        "digits, cb_focal, adamw": ("digits_mlt_cb_focal", []),
        "digits, bce, sgd": ("digits_mlt_bce", ["optimizer={name: sgd, lr: 0.1}"]),
    }
    if coco is None:
        return embedded
    linear = "model.head={name: linear, standardize: true}"
    photographs = [f"data.root={coco}", "data.validation={fraction: 0.3}", linear]
    return embedded | {
        "coco-mini, head, sgd": ("own_data_coco", photographs),
        "coco-mini, head, adamw": (
            "own_data_coco",
            [*photographs, "optimizer={name: adamw, lr: 1e-3, weight_decay: 0.05}"],
        ),
    }


def rates_of(config: Config, updates: int) -> dict[str, float]:
    """The rates to compare, by name."""
    found = mlt.find_lr(config, updates=updates, end=10.0)
    lowest = 10 * found.suggestions["minimum_over_10"]
    return {"configured": found.configured, **found.suggestions, "minimum": lowest}


def score(config: Config) -> float:
    """Total mAP on the validation images, or else the test images, after the last epoch."""
    folder = RunFolder(config.output)
    if not folder.metrics.exists():
        mlt.train(config, resume="auto")
    if not folder.validation.exists():
        return 100 * json.loads(folder.metrics.read_text())["mAP"]["total"]
    found = Predictions.load(folder.validation)
    return 100 * summarize(found).total


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coco", type=Path, help="folder of coco-mini")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("runs/find_lr"))
    parser.add_argument("--epochs", type=int, help="in place of the configured number")
    parser.add_argument("--only", default="", help="tasks whose name contains this")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.epochs, options.coco = 1, options.epochs or 4, None
    logging.getLogger("mlt").setLevel(logging.WARNING)
    print(f"{date.today()}, {platform.machine()}, torch {torch.__version__}")
    print(f"| task | find-lr, s | {' | '.join(f'{rate}: lr, mAP' for rate in RATES)} |")
    print(f"| --- | ---: | {' | '.join('---:' for _ in RATES)} |")
    for number, (name, (start, changes)) in enumerate(setups(options.coco).items()):
        if options.only not in name:
            continue
        taken, tested = [], []
        for seed in range(options.seeds):
            keys = [*changes, f"seed={seed}", "evaluation.every=0"]
            keys += [f"training.epochs={options.epochs}"] if options.epochs else []
            where = options.output / f"{number}-seed{seed}"  # side by side: they share a cache
            began = time.monotonic()
            rates = rates_of(load_config(start, [*keys, f"output={where}-test"]), options.updates)
            taken.append(time.monotonic() - began)
            runs = [
                load_config(start, [*keys, f"optimizer.lr={rates[rate]}", f"output={where}-{rate}"])
                for rate in RATES
            ]
            scores = map(score, runs)
            tested.append([(rates[rate], value) for rate, value in zip(RATES, scores, strict=True)])
        cells = [
            f"{np.exp(np.log([lr for lr, _ in seeds]).mean()):.2g}, "
            f"{np.mean([value for _, value in seeds]):.2f}"
            for seeds in zip(*tested, strict=True)
        ]
        print(f"| {name} | {np.median(taken):.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
