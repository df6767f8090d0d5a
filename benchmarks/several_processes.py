"""Two gloo processes against one on the same whole batches: 22 updates of every loss and sampler.

    python benchmarks/several_processes.py

The table is the largest difference of any weight (and of what a loss keeps count of, relative to
it) after the updates, and of any logit of the test images, between the run of one process and that
of two. Every run also says whether all test images
are in its results once. ``to two`` and ``to one`` are runs that were stopped in the middle of an
epoch and went on in the other number of processes.
"""

from __future__ import annotations

import argparse
import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.multiprocessing import spawn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import Dataset

import mlt
from mlt.engine.training_state import load_training_state
from mlt.models import Classifier
from mlt.models.adapters import add_adapters, is_adapter
from mlt.predictions import Predictions

CLASSES, TRAIN, TEST = 6, 81, 33
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A run that one process and two must do alike.

    Attributes:
        name: For the table, and of its folder.
        settings: What differs from the plain configuration.
        model: ``plain``, ``batch norm``, ``classifier``, or ``adapters``: a classifier whose
            adapters learn in place of its backbone.
        partly_known: Whether a third of the labels is not known.
        stop_after: Updates after which it is stopped, to go on in the other number of processes.
    """

    name: str
    settings: tuple[str, ...] = ()
    model: str = "plain"
    partly_known: bool = False
    stop_after: int | None = None


def cases() -> Iterator[Case]:
    """Every loss, with and without unknown labels; every sampler; what else the loop does."""
    for name in mlt.losses.list_losses("sigmoid"):
        loss = (f"loss={{preset: {name}}}",)
        yield Case(name, loss)
        yield Case(f"{name}, a third unknown", loss, partly_known=True)
    samplers = ("class_aware", "repeat_factor", "{name: weighted, weighting: {name: inverse}}")
    for sampler in samplers:
        value = sampler if sampler.startswith("{") else f"{{name: {sampler}}}"
        yield Case(f"sampler {sampler.split(',')[0].split(': ')[-1]}", (f"sampler={value}",))
    yield Case("accumulate 3", ("training.accumulate=3",))
    yield Case("moving average", ("training.ema_decay=0.9",))
    yield Case("clipped gradients", ("training.clip_grad_norm=0.05",))
    yield Case("batch norm, synchronised", model="batch norm")
    yield Case("bf16", ("training.autocast=bf16",))
    yield Case("adamw", ("optimizer={name: adamw, lr: 0.001}",))
    yield Case("batches of 7", ("training.batch_size=7",))
    fsdp = "training.fsdp=true"
    yield Case("FSDP2", (fsdp,))
    yield Case("FSDP2, moving average", (fsdp, "training.ema_decay=0.9"))
    yield Case("FSDP2, adamw", (fsdp, "optimizer={name: adamw, lr: 0.001}"))
    pulled = "optimizer={name: adamw, lr: 0.001, decay_to_start: 50}"
    yield Case("decay to start", (pulled,), model="classifier")
    yield Case("FSDP2, decay to start", (fsdp, pulled), model="classifier")
    yield Case(
        "FSDP2, decay to start, stopped in the middle",
        (fsdp, pulled),
        model="classifier",
        stop_after=13,
    )
    yield Case("adapters", model="adapters")
    yield Case("FSDP2, adapters", (fsdp,), model="adapters")
    for name, settings in {
        "eqlv2": ("loss={preset: eqlv2}",),
        "moving average": ("training.ema_decay=0.9", "training.accumulate=2"),
        "FSDP2, adamw": (fsdp, "optimizer={name: adamw, lr: 0.001}"),
    }.items():
        yield Case(f"{name}, stopped in the middle", settings, stop_after=13)


class Images(Dataset[tuple[Tensor, ...]]):
    """Made-up tensors whose labels have a long tail."""

    def __init__(self, number: int, partly_known: bool) -> None:
        random = np.random.default_rng(number)
        self.class_names = [f"class {k}" for k in range(CLASSES)]
        frequency = 0.6 * 0.6 ** np.arange(CLASSES)
        self.targets = torch.from_numpy((random.random((number, CLASSES)) < frequency) * 1.0)
        self.targets[:CLASSES] = torch.eye(CLASSES)
        self.known = torch.from_numpy(random.random((number, CLASSES)) < 2 / 3)
        self.known |= self.targets > 0
        if not partly_known:
            self.known[:] = True
        self.images = torch.from_numpy(random.standard_normal((number, 3, 4, 4))).float()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        return self.images[row], self.targets[row].float(), self.known[row]


class Stopped(Exception):  # noqa: N818 - not an error
    """Ends a run in the middle."""


def train(case: Case, folder: Path, resume: bool) -> None:
    """Train a case; every process calls it."""
    torch.manual_seed(3)  # the weights are handed over: the same in each process
    model = _model(case.model)
    config = mlt.load_config(
        "digits_mlt_bce",
        [
            f"output={folder}",
            "device=cpu",
            "seed=5",
            "training.epochs=2",
            "training.batch_size=8",
            "training.workers=0",
            f"training.save_every={{updates: {1 if case.stop_after else 1000}}}",
            "optimizer={name: sgd, lr: 0.01, momentum: 0.9}",
            "schedule={name: constant}",
            "sampler={name: shuffle}",
            "loss={preset: bce}",
            "evaluation.every=0",
            *case.settings,
        ],
    )
    data = {"train": Images(TRAIN, case.partly_known), "test": Images(TEST, False)}
    hook = None
    if case.stop_after and not resume:
        seen = []

        def count(*_: Any) -> None:
            seen.append(1)
            if len(seen) > case.stop_after:
                raise Stopped

        hook = register_optimizer_step_pre_hook(count)
    try:
        mlt.train(config, data=data, model=model, resume=resume)
    except Stopped:
        pass
    finally:
        if hook is not None:
            hook.remove()


def _model(kind: str) -> nn.Module:
    norm = nn.BatchNorm2d(8) if kind == "batch norm" else nn.Identity()
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.Flatten())
    if kind not in ("classifier", "adapters"):
        return backbone.append(nn.Linear(32, CLASSES))
    backbone.append(nn.Linear(32, 16))
    model = Classifier(backbone, nn.Linear(16, CLASSES))
    if kind == "adapters":
        add_adapters(backbone, rank=2)
        model.learn_only([n for n, _ in backbone.named_parameters() if is_adapter(n)])
    return model


Job = tuple[Case, Path, bool]


def _in_process(rank: int, count: int, port: int, jobs: list[Job]) -> None:
    torch.set_num_threads(1)
    if count > 1:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        torch.distributed.init_process_group("gloo", rank=rank, world_size=count)
    for case, folder, resume in jobs:
        train(case, folder, resume)
    if count > 1:
        torch.distributed.destroy_process_group()


def run(count: int, jobs: list[Job]) -> None:
    """Run jobs in processes that work together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_in_process, (count, port, jobs), nprocs=count)


def differences(root: Path, chosen: list[Case]) -> dict[str, tuple[float, float]]:
    """Run each case in one process and in two; the largest difference of weights and logits."""
    one, two, other = root / "one", root / "two", root / "other"
    stopped = [case for case in chosen if case.stop_after]
    whole = [replace(case, stop_after=None) for case in chosen]
    run(1, [(case, one / case.name, False) for case in whole])
    run(2, [(case, two / case.name, False) for case in chosen])
    if stopped:
        run(1, [(case, two / case.name, True) for case in stopped])
        run(1, [(case, other / case.name, False) for case in stopped])
        run(2, [(case, other / case.name, True) for case in stopped])
    found = {case.name: _difference(one / case.name, two / case.name) for case in chosen}
    for case in stopped:
        found[f"{case.name}: two, then one"] = found.pop(case.name)
        found[f"{case.name}: one, then two"] = _difference(one / case.name, other / case.name)
    return found


def _difference(a: Path, b: Path) -> tuple[float, float]:
    weights = [load_file(folder / "last.safetensors") for folder in (a, b)]
    assert weights[0].keys() == weights[1].keys()
    largest = max(float((weights[0][k] - weights[1][k]).abs().max()) for k in weights[0])
    states = [load_training_state(folder / "training_state.pt", CPU)["loss"] for folder in (a, b)]
    for name, value in states[0].items():
        if value.is_floating_point() and value.numel():
            relative = (value - states[1][name]).abs() / value.abs().clamp(min=1)
            largest = max(largest, float(relative.max()))
    results = [Predictions.load(folder / "predictions.npz") for folder in (a, b)]
    for result in results:
        assert sorted(result.image_ids.tolist()) == list(range(TEST)), "an image is twice or lost"
    assert results[0].image_ids.tolist() == results[1].image_ids.tolist()
    return largest, float(np.abs(results[0].logits - results[1].logits).max())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = differences(Path(folder), [case for case in cases() if only in case.name])
    print("| | weights | logits |\n| --- | ---: | ---: |")
    for name, (weights, logits) in found.items():
        print(f"| {name} | {weights:.1e} | {logits:.1e} |")
    worst = max(max(pair) for pair in found.values())
    print(f"\nlargest of {len(found)}: {worst:.1e}")
    print(f"{date.today()}, {platform.machine()}, torch {torch.__version__}, 2 gloo processes")


if __name__ == "__main__":
    main()
