"""Heads on the same backbone: mAP, time to train, time to predict.

    python benchmarks/heads.py own_data_coco --set data.root=PATH/coco-mini transforms.size=224
    python benchmarks/heads.py own_data_coco --set 'data={name: voc, root: PATH/voc-part}' \
        transforms.size=224 --test
    python benchmarks/heads.py own_data_coco --seeds 0 --epochs 4 --set data.root=PATH/coco-mini \
        transforms.size=128 'training.features={crops: 0}'   # quick

A row is a head with the optimizer that suits it. By default all candidates are judged on a fifth of
the training images, which they do not see. With ``--test`` the candidate of each head that was best
there learns from all training images and is judged on the test images, beside scikit-learn's
logistic regression. Prints Markdown: mean and 95 % interval over seeds and images, the difference
from the linear head with its p-value (paired over images, Holm), seconds of CPU of a run whose
features are cached, and milliseconds per image of the whole model in batches of 32.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from frozen_features import logistic_regression
from train_once import train_once

from mlt.cli.process import tune_process
from mlt.config import Config, load_config
from mlt.metrics import aggregate_seeds, compare_seeds, holm
from mlt.models.checkpoint import load_checkpoint
from mlt.predictions import Predictions

SGD = ("optimizer={name: sgd, lr: 0.24, momentum: 0.9, nesterov: true, weight_decay: %s}",)
ADAMW = ("optimizer={name: adamw, lr: %s, weight_decay: %s}", "schedule={name: cosine}")


@dataclass(frozen=True)
class Row:
    """A head and how it learns.

    Attributes:
        name: In the table.
        head: Settings of the head, without ``standardize``, which all have.
        optimizer: Overrides.
        chosen: Whether it was the best of its head on validation images; or the configuration's
            own, which the others are compared with.
    """

    name: str
    head: str
    optimizer: tuple[str, ...]
    chosen: bool = False


def sgd(decay: float) -> tuple[str, ...]:
    """The configuration's optimizer with another weight decay."""
    return (SGD[0] % decay,)


def adamw(rate: float, decay: float) -> tuple[str, ...]:
    """For heads with attention or a graph, which plain SGD trains badly."""
    return (ADAMW[0] % (rate, decay), ADAMW[1])


SHALLOW = "name: query, encoder_layers: 0, layers: 1"
NARROW = "name: ml_decoder, width: 256, feedforward: 512"
SOFT = "name: csra, temperatures: [1, 2, 4, max], attention_weight: 0.3"

ROWS = (
    Row("linear, decay 0.004", "name: linear", sgd(0.004), True),
    Row("linear, decay 0.015", "name: linear", sgd(0.015)),
    Row("cosine, scale 30", "name: cosine", adamw(3e-3, 0.0), True),
    Row("cosine, scale 10", "name: cosine, scale: 10", adamw(3e-3, 0.0)),
    Row("csra max, 0.3", "name: csra, attention_weight: 0.3", sgd(0.004)),
    Row("csra max, 0.3, decay 0.015", "name: csra, attention_weight: 0.3", sgd(0.015)),
    Row("csra max, 1", "name: csra", sgd(0.004)),
    Row("csra max, 1, decay 0.015", "name: csra", sgd(0.015)),
    Row("csra 1 2 4 max, 0.3", SOFT, sgd(0.015)),
    Row("linear root", "name: linear, power: 0.5", sgd(0.004), True),
    Row("linear root, decay 0.015", "name: linear, power: 0.5", sgd(0.015)),
    Row("csra root, 0.3", "name: csra, attention_weight: 0.3, power: 0.5", sgd(0.004)),
    Row("csra root, 0.3, decay 0.015", "name: csra, attention_weight: 0.3, power: 0.5", sgd(0.015)),
    Row("csra root, 1", "name: csra, power: 0.5", sgd(0.004)),
    Row("csra root, 1, decay 0.015", "name: csra, power: 0.5", sgd(0.015), True),
    Row("query, 1 + 2 layers", "name: query", adamw(3e-4, 0.05), True),
    Row("query, 0 + 1 layers", SHALLOW, adamw(3e-4, 0.05)),
    Row("query, 0 + 1 layers, rate 1e-3", SHALLOW, adamw(1e-3, 0.05)),
    Row("ml_decoder, width 768", "name: ml_decoder", adamw(3e-4, 0.05)),
    Row("ml_decoder, width 256", NARROW, adamw(3e-4, 0.05)),
    Row("ml_decoder, width 256, rate 1e-3", NARROW, adamw(1e-3, 0.05), True),
    Row("gcn max", "name: gcn", adamw(1e-3, 0.05)),
    Row("gcn avg", "name: gcn, pooling: avg", adamw(1e-3, 0.05), True),
    Row("gcn avg, shrinkage 0", "name: gcn, pooling: avg, shrinkage: 0", adamw(1e-3, 0.05)),
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
    parser.add_argument("--output", help="keep runs and features there, for another call")
    arguments = parser.parse_args()
    tune_process()
    logging.getLogger("mlt").setLevel(logging.WARNING)
    part = "test" if arguments.test else "validation"
    cut = [] if arguments.test else ["data.validation={fraction: 0.2}"]
    found: dict[str, list[Predictions]] = {}
    times: dict[str, tuple[float, float]] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(arguments.output or temporary)
        for number, row in enumerate(ROWS):
            if arguments.only not in row.name or (arguments.test and not row.chosen):
                continue
            for seed in arguments.seeds:
                config = load_config(
                    arguments.config,
                    [
                        f"model.head={{{row.head}, standardize: true}}",
                        *row.optimizer,
                        *cut,
                        f"training.epochs={arguments.epochs}",
                        "evaluation.every=0",
                        f"seed={seed}",
                        f"output={folder}/{part}-{number}-{seed}",
                        *arguments.overrides,
                    ],
                )
                predictions, seconds = train_once(config, arguments.test)
                found.setdefault(row.name, []).append(predictions)
            times[row.name] = seconds, milliseconds(config)
            first = found[row.name][0]
            group = [f"{100 * m.mean:.1f}" for m in aggregate_seeds(found[row.name]).values()]
            print(f"{row.name}: {' '.join(group)}, {len(first.image_ids)} images", flush=True)
        if arguments.only in "logistic regression":
            config = load_config(arguments.config, [*cut, *arguments.overrides])
            found["scikit-learn's logistic regression"] = [logistic_regression(config, part=part)]
    print_table(found, times)


def milliseconds(config: Config) -> float:
    """Time per image of the model of a run, in batches of 32, the best of 5."""
    model, _ = load_checkpoint(Path(config.output) / "last.safetensors")
    images = torch.zeros(32, 3, config.transforms.size, config.transforms.size)
    taken = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            model(images)
            taken.append(time.perf_counter() - start)
    return 1000 * min(taken) / len(images)


def print_table(found: dict[str, list[Predictions]], times: dict[str, tuple[float, float]]) -> None:
    """As Markdown; the first row is what the others are compared with."""
    first = next(iter(found))
    compared = {name: compare_seeds(runs, found[first])["total"] for name, runs in found.items()}
    others = [name for name in found if name != first]
    corrected = dict(zip(others, holm([compared[name].p_value for name in others])))
    print("\n| head | mAP | head | medium | tail | against linear | CPU, s | ms per image |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, runs in found.items():
        groups = aggregate_seeds(runs)
        interval = groups["total"].interval
        cells = [name, f"{100 * groups['total'].mean:.1f}"]
        cells[1] += f" ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        cells += [f"{100 * groups[group].mean:.1f}" for group in ("head", "medium", "tail")]
        cells.append(
            f"{100 * compared[name].value:+.1f} (p {corrected[name]:.3f})" if name in others else ""
        )
        cells += [f"{value:.1f}" for value in times[name]] if name in times else ["", ""]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
