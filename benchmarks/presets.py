"""Train every loss that ships on the embedded data, over several seeds, and print one table.

python benchmarks/presets.py --seeds 3 --output runs/presets

What is there already is not trained again, so the command can be interrupted and repeated. The
table is Markdown: mean and standard deviation over the seeds of total, head, medium and tail mAP in
percent, and how far the total is from that of plain cross entropy. Losses are listed by total.
"""

from __future__ import annotations

import os

# Several single-threaded runs side by side use the cores better than one run with all of them.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import logging
import platform
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mlt.config import load_config
from mlt.engine.train import train as train_run
from mlt.losses import list_losses
from mlt.run_folder import RunFolder

GROUPS = ("total", "head", "medium", "tail")
BASELINE = "bce"


def train(loss: str, seed: int, output: str) -> tuple[str, int]:
    """Train one loss with one seed, unless that has been done."""
    folder = RunFolder(Path(output) / f"{loss}-seed{seed}")
    if not folder.metrics.exists():
        logging.getLogger("mlt").setLevel(logging.WARNING)
        changes = [
            f"loss={{preset: {loss}}}",
            f"seed={seed}",
            f"output={folder.path}",
            "training.workers=0",
            "evaluation.every=0",
        ]
        resume = folder.state.exists()
        train_run(load_config("digits_mlt_bce", changes), resume=resume, overwrite=not resume)
    return loss, seed


def table(losses: list[str], seeds: int, output: str) -> str:
    """The results on disk as Markdown."""
    results = {}
    for loss in losses:
        runs = [
            json.loads((Path(output) / f"{loss}-seed{seed}" / "metrics.json").read_text())["mAP"]
            for seed in range(seeds)
        ]
        results[loss] = 100 * np.array([[run[group] for group in GROUPS] for run in runs])
    lines = ["| loss | total | head | medium | tail | total - bce |", "| --- |" + " ---: |" * 5]
    for loss in sorted(losses, key=lambda name: -results[name][:, 0].mean()):
        mean, sd = results[loss].mean(0), results[loss].std(0, ddof=1) if seeds > 1 else np.zeros(4)
        cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(mean, sd)]
        gap = results[loss][:, 0] - results[BASELINE][:, 0]
        spread = f" ± {gap.std(ddof=1):.1f}" if seeds > 1 else ""
        lines.append(f"| `{loss}` | {' | '.join(cells)} | {gap.mean():+.1f}{spread} |")
    return "\n".join(lines)


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--losses", nargs="+", default=list_losses("sigmoid"), metavar="NAME")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--output", default="runs/presets", help="folder of the runs")
    arguments = parser.parse_args()
    losses = sorted({*arguments.losses, BASELINE})
    train(BASELINE, 0, arguments.output)  # alone, so that the data is written once
    todo = [(loss, seed) for loss in losses for seed in range(arguments.seeds)]
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(train, *pair, arguments.output) for pair in todo]
        for done, future in enumerate(as_completed(futures), start=1):
            loss, seed = future.result()
            print(f"{done}/{len(todo)} {loss} seed {seed}", file=sys.stderr, flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"`{' '.join(['python', *sys.argv])}`, {date.today()}, {machine}\n")
    print(table(losses, arguments.seeds, arguments.output))


if __name__ == "__main__":
    main()
