"""Fine-tuning against a frozen backbone, from few images on.

    python benchmarks/fine_tuning.py own_data_coco --set transforms.size=224 \
        data={name: voc, root: PATH/voc-part}
    python benchmarks/fine_tuning.py own_data_coco --quick --set transforms.size=64 \
        data.root=PATH/coco-mini   # a minute

Every recipe begins from the head that was trained on the frozen backbone, with the settings of the
configuration, and goes on as it says. The training images are drawn once for each seed, the smaller
sets within the larger ones. Each run is judged on a fifth of all training images, which it does not
see (``--test`` judges on the test images: once a choice has been made). Prints Markdown: mean and
standard deviation of mAP over the seeds, the gain over the frozen head with the same images, and
seconds of CPU of a run; with ``--lines`` a line of JSON for each run goes to a file as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import mlt
from mlt.cli.process import tune_process
from mlt.config import load_config
from mlt.data import LabelTable
from mlt.data.run_data import load_data
from mlt.metrics import Summary

FROZEN = "frozen head"


def recipes(epochs: int) -> dict[str, tuple[list[str], dict[str, Any] | None]]:
    """Overrides of the model, and the stage after the head, of each recipe."""
    tuned = {"epochs": epochs, "freeze": []}
    sgd = {"name": "sgd", "lr": 0.02, "momentum": 0.9}
    adamw = {"name": "adamw", "lr": 5e-4}
    lora = "model.learn={name: lora, rank: 8, alpha: 16}"
    found: dict[str, tuple[list[str], dict[str, Any] | None]] = {FROZEN: ([], None)}
    for blocks in (1, 2, 3):
        last = [f"model.learn={{name: last_blocks, blocks: {blocks}}}"]
        found[f"last {blocks}, SGD 0.02"] = (last, tuned | {"optimizer": sgd})
        found[f"last {blocks}, AdamW 5e-4"] = (last, tuned | {"optimizer": adamw})
        decayed = adamw | {"decay_to_start": 100.0}
        found[f"last {blocks}, AdamW 5e-4, L2-SP 100"] = (last, tuned | {"optimizer": decayed})
    found["norm, AdamW 1e-3"] = (["model.learn=norm"], tuned | {"optimizer": adamw | {"lr": 1e-3}})
    found["bias, AdamW 1e-3"] = (["model.learn=bias"], tuned | {"optimizer": adamw | {"lr": 1e-3}})
    found["LoRA 8, AdamW 1e-3"] = ([lora], tuned | {"optimizer": adamw | {"lr": 1e-3}})
    by_layer = adamw | {"lr": 2e-4, "layer_decay": 0.7, "weight_decay": 0.05}
    found["all, AdamW 2e-4, layer decay 0.7"] = ([], tuned | {"optimizer": by_layer})
    pulled = by_layer | {"decay_to_start": 100.0}
    found["all, AdamW 2e-4, layer decay 0.7, L2-SP 100"] = ([], tuned | {"optimizer": pulled})
    return found


def main() -> None:
    """Train all recipes with all seeds on all numbers of images, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, nargs="+", default=[250, 500, 1000, 0], help="0: all")
    parser.add_argument("--head-epochs", type=int, default=20, help="on the frozen backbone")
    parser.add_argument("--epochs", type=int, default=8, help="of what learns after the head")
    parser.add_argument("--only", nargs="+", default=[""], help="recipes that contain one of these")
    parser.add_argument("--test", action="store_true", help="judge on the test images")
    parser.add_argument("--lines", type=Path, help="file to which each run is added as JSON")
    parser.add_argument("--quick", action="store_true", help="one seed, few images and epochs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.images = [0], [60]
        arguments.head_epochs, arguments.epochs = 2, 1
    tune_process()
    logging.getLogger("mlt").setLevel(logging.WARNING)
    wanted = {
        name: recipe
        for name, recipe in recipes(arguments.epochs).items()
        if name == FROZEN or any(part in name for part in arguments.only)
    }
    print("| images | recipe | mAP | gain | head | medium | tail | CPU, s |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as folder:
        for images in arguments.images:
            frozen: list[float] = []
            for number, (name, recipe) in enumerate(wanted.items()):
                runs = [
                    measure(arguments, name, recipe, seed, images, Path(folder) / f"{number}")
                    for seed in arguments.seeds
                ]
                summaries = [summary for summary, _, _ in runs]
                totals = [summary.total for summary in summaries]
                frozen = totals if name == FROZEN else frozen
                gain = in_percent(np.subtract(totals, frozen)) if name != FROZEN else ""
                groups = [
                    f"{100 * np.mean([getattr(summary, group) for summary in summaries]):.1f}"
                    for group in ("head", "medium", "tail")
                ]
                seconds = np.mean([taken for _, taken, _ in runs])
                cells = [str(runs[0][2]), name, in_percent(totals), gain, *groups]
                print(f"| {' | '.join(cells)} | {seconds:.0f} |", flush=True)


def in_percent(values: Any) -> str:
    """Mean and standard deviation."""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values):.1f}"


def measure(
    arguments: argparse.Namespace,
    name: str,
    recipe: tuple[list[str], dict[str, Any] | None],
    seed: int,
    images: int,
    output: Path,
) -> tuple[Summary, float, int]:
    """Results of a run, its seconds of CPU, and the number of its training images."""
    model, stage = recipe
    stages = [{"epochs": arguments.head_epochs, "freeze": "all"}]
    stages += [] if stage is None else [stage]
    cut = [] if arguments.test else [f"data.validation={{fraction: 0.2, seed: {seed}}}"]
    config = load_config(
        arguments.config,
        [
            *arguments.overrides,
            "model.freeze=[]",
            "model.freeze_statistics=true",
            *model,
            *cut,
            f"seed={seed}",
            f"output={output}-{seed}-{images}",
            "evaluation.every=0",
            f"training.epochs={sum(part['epochs'] for part in stages)}",
            f"training.stages={json.dumps(stages)}",
        ],
    )
    data = load_data(config.data)
    judged = data.test if data.validation is None else data.validation
    table = drawn(data.train, images, seed)
    start = time.process_time()
    summary = mlt.train(config, data={"train": table, "test": judged})
    seconds = time.process_time() - start
    if arguments.lines is not None:
        line = {"recipe": name, "seed": seed, "images": len(table), "mAP": summary.total}
        with arguments.lines.open("a") as file:
            file.write(json.dumps(line | {"seconds": round(seconds)}) + "\n")
    return summary, seconds, len(table)


def drawn(table: LabelTable, images: int, seed: int) -> LabelTable:
    """So many rows, of which those of a smaller number are the first; 0: all."""
    order = np.random.default_rng(seed).permutation(len(table))
    return table.take(np.sort(order[: images or None]))


if __name__ == "__main__":
    main()
