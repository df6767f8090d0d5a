"""What views, ensembles and averaged weights bring, and what they cost per image.

    python benchmarks/views.py --set data.root=../shared/data/coco-mini
    python benchmarks/views.py --quick --set data.root=../shared/data/coco-mini

Trains a configuration with seeds 0, 1, 2 and evaluates on its test images: each seed by itself,
with several views, the ensemble of the seeds, and the average of their weights. Nothing is chosen
by what it prints. The time is CPU time of one process, with loading. ``--quick`` takes images of
160 x 160 pixels, without crops in training. Prints a Markdown table: of rows of single seeds the
mean and standard deviation of mAP, of the others mAP with its 95 % interval.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlt.config import Config, load_config
from mlt.engine.evaluate import evaluate_ensemble
from mlt.engine.train import train
from mlt.metrics import summarize
from mlt.models.average import average_weights
from mlt.models.checkpoint import save_checkpoint
from mlt.predictions import Predictions

QUICK = ["transforms.size=160", "training.features={crops: 0}"]
VIEWS = {
    "image": "[whole]",
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
    changes = [*(QUICK if arguments.quick else []), *arguments.overrides, "training.workers=0"]

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

    print("| evaluated | mAP | tail mAP | CPU ms per image |\n| --- | ---: | ---: | ---: |")
    for name, views in VIEWS.items():
        seen = config(f"evaluation.views={views}")
        _row(f"one seed, {name}", [lambda f=f, c=seen: evaluate_ensemble(c, [f]) for f in files])
    plain, mirrored = config(), config("evaluation.mirror=true")
    for how in ("probabilities", "logits"):
        _row(f"ensemble of 3, {how}", [lambda h=how: evaluate_ensemble(plain, files, "test", h)])
    _row("ensemble of 3, and mirror image", [lambda: evaluate_ensemble(mirrored, files)])
    _row("average of the weights of 3", [lambda: evaluate_ensemble(plain, [soup])])


def _row(name: str, evaluations: list[Callable[[], Predictions]]) -> None:
    summaries, times = [], []
    for evaluate in evaluations:
        start = time.process_time()
        predictions = evaluate()
        times.append(1000 * (time.process_time() - start) / len(predictions))
        summaries.append(summarize(predictions))
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
