"""Training in stages against training in one, on one's own data.

    python benchmarks/stages.py own_data_coco --set data.root=FOLDER transforms.size=224
    python benchmarks/stages.py digits_mlt_bce --seeds 0 --epochs 4 --no-backbone   # quick

Every method trains the head for `--epochs` epochs on a frozen backbone (cached features) and then
goes on as its name says. A fifth of the training images are for validation; tau is chosen on them.
Prints mean and standard deviation over the seeds on the test images.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import mlt
from mlt.metrics.ranking import ranking_metrics
from mlt.predictions import Predictions


def methods(epochs: int) -> dict[str, list[dict[str, Any]]]:
    """The stages of each method."""
    short = max(1, epochs // 4)
    head = {"epochs": epochs, "freeze": "all"}
    frozen = {"epochs": short, "freeze": "all"}
    weighted = {"preset": "cb_bce", "options": {"beta": 0.9}}
    upper = {
        "epochs": short,
        "freeze": ["conv_stem", "bn1", "blocks.[0-4]"],
        "optimizer": {"lr": 0.02, "backbone_lr_scale": 0.1},
    }
    longer = {"epochs": epochs + short, "freeze": "all"}
    return {
        "head": [longer],
        "head, then cb_bce (DRW)": [head, {"epochs": short, "loss": weighted}],
        "head, then cRT": [head, frozen | {"head": "reinit", "sampler": "class_aware"}],
        "head, then LWS": [head, {"epochs": short, "head": "lws", "sampler": "class_aware"}],
        "head, then tau = 1": [longer, {"epochs": 0, "head": {"tau": 1.0}}],
        "head, then tau: auto": [longer, {"epochs": 0, "head": {"tau": "auto"}}],
        "head, then upper blocks": [head, upper],
    }


def main() -> None:
    """Train all methods with all seeds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20, help="of the first stage")
    parser.add_argument("--no-backbone", action="store_true", help="leave out the slow method")
    arguments = parser.parse_args()
    print("| method | mAP | mAP of tail classes | LRAP | CPU time of a run |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as folder:
        for number, (name, stages) in enumerate(methods(arguments.epochs).items()):
            if arguments.no_backbone and "upper" in name:
                continue
            found = [
                measure(arguments, stages, seed, Path(folder) / f"{number}-{seed}")
                for seed in arguments.seeds
            ]
            mean, deviation = np.mean(found, axis=0), np.std(found, axis=0)
            scores = [f"{100 * m:.1f} ± {100 * d:.1f}" for m, d in zip(mean[:3], deviation[:3])]
            print(f"| {name} | {' | '.join(scores)} | {mean[3]:.0f} s |", flush=True)


def measure(
    arguments: argparse.Namespace, stages: list[dict[str, Any]], seed: int, output: Path
) -> tuple[float, float, float, float]:
    """Test mAP in total and of tail classes, LRAP, and seconds of CPU of one run."""
    epochs = sum(stage["epochs"] for stage in stages)
    overrides = [
        "model.head={name: linear, standardize: true}",  # LWS and tau change one
        *arguments.overrides,
        f"seed={seed}",
        f"output={output}",
        "data.validation={fraction: 0.2}",
        "evaluation.every=0",
        f"training.epochs={epochs}",
        f"training.stages={stages}",
    ]
    start = time.process_time()
    summary = mlt.train(mlt.load_config(arguments.config, overrides))
    seconds = time.process_time() - start
    found = Predictions.load(output / "predictions.npz")
    lrap = ranking_metrics(found.targets, found.logits, found.known).lrap
    return summary.total, summary.tail, lrap, seconds


if __name__ == "__main__":
    main()
