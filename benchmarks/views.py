"""What views, ensembles and averaged weights bring, and what they cost per image.

    python benchmarks/views.py --set data.root=../shared/data/coco-mini
    python benchmarks/views.py --quick --set data.root=../shared/data/coco-mini

Trains a configuration with seeds 0, 1, 2 and evaluates on its test images: each seed by itself,
with several views, the ensemble of the seeds, and the average of their weights. Nothing is chosen
by what it prints. The time is CPU time of one process, with loading. ``--quick`` takes images of
128 x 128 pixels, without crops in training, and views for one seed. Prints a
Markdown table: of several seeds the mean and standard deviation of mAP, else mAP with the 95 %
interval of the corrected mAP.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np

from mlt.config import Config, load_config
from mlt.data.view_settings import Average
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.train import train
from mlt.metrics import mean_predictions, summarize
from mlt.models.average import average_weights
from mlt.models.checkpoint import save_checkpoint
from mlt.predictions import Predictions

QUICK = ["transforms.size=128", "training.features={crops: 0}"]
VIEWS = {
    "image and mirror image": "[whole, mirror]",
    "five crops": "[five_crops]",
    "image and five crops": "[whole, five_crops]",
    "zoom 1 and 1.15": "[whole, {zoom: 1.15}]",
}


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="own_data_coco")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true", help="small images")
    parser.add_argument("--folder", help="keep runs and cache here, for another time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        _measure(arguments, Path(arguments.folder or temporary))


def _measure(arguments: argparse.Namespace, folder: Path) -> None:
    linear = "model.head={name: linear, standardize: true}"
    quick = QUICK if arguments.quick else []
    changes = [linear, *quick, *arguments.overrides, "training.workers=0"]

    def config(*more: str) -> Config:
        return load_config(arguments.config, [*changes, f"output={folder / 'any'}", *more])

    files = []
    for seed in range(3):
        run = folder / f"seed{seed}"
        if not (run / "metrics.json").exists():
            train(config(f"seed={seed}", f"output={run}", "evaluation.every=0"))
        files.append(run / "last.safetensors")
    soup = folder / "soup.safetensors"
    save_checkpoint(soup, *average_weights(files))

    few = files[:1] if arguments.quick else files
    print("| evaluated | mAP (interval of corrected mAP) | tail mAP | CPU ms per image |")
    print("| --- | ---: | ---: | ---: |")
    alone = [_timed(config(), file) for file in files]
    _row("one seed, image", alone)
    for name, views in VIEWS.items():
        seen = config(f"evaluation.views={views}")
        _row(f"one seed, {name}", [_timed(seen, file) for file in few])
    cost = sum(took for _, took in alone)
    for how in get_args(Average):
        mean = mean_predictions([predictions for predictions, _ in alone], how)
        _row(f"ensemble of 3, {how}", [(mean, cost)])
    _row("average of the weights of 3", [_timed(config(), soup)])


def _timed(config: Config, file: Path) -> tuple[Predictions, float]:
    """Predictions, and CPU time per image in milliseconds."""
    start = time.process_time()
    predictions = evaluate_checkpoint(config, file)
    return predictions, 1000 * (time.process_time() - start) / len(predictions)


def _row(name: str, evaluated: list[tuple[Predictions, float]]) -> None:
    summaries = [summarize(predictions) for predictions, _ in evaluated]
    times = [took for _, took in evaluated]
    totals, tails = (100 * np.array([getattr(s, n) for s in summaries]) for n in ("total", "tail"))
    if len(summaries) > 1:
        means = [f"{v.mean():.1f} ± {v.std(ddof=1):.1f}" for v in (totals, tails)]
    else:
        details = summaries[0].details
        assert details is not None
        interval = details.intervals.means["total"]
        bounds = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
        means = [f"{totals[0]:.1f} ({bounds})", f"{tails[0]:.1f}"]
    print(f"| {name} | {' | '.join(means)} | {min(times):.0f} |", flush=True)


if __name__ == "__main__":
    main()
