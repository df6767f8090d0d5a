"""The training loop, key by key, against a bare loop over the same model on resident tensors.

The bare loop calls model, binary cross entropy, backward and a plain optimizer, eagerly, in the
memory layout that torch gives a model, and never asks for the loss. For each row both train in
turn; a rate is the median of all turns. Memory is what the forward pass keeps for the backward
pass. Prints Markdown. On a GPU (with the figures to compare in one run):

    python benchmarks/training_loop.py                                   # a minute or two
    python benchmarks/training_loop.py --backbone resnet18 --size 128 --compile
    python benchmarks/training_loop.py --device cuda --backbone resnet50 --size 224 --batch 128 \
        --batches 20 --compile
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mlt.config.training import OptimizerConfig, ScheduleConfig, TrainingConfig
from mlt.data.loader import Batch
from mlt.engine.compilation import compile_in_place
from mlt.engine.gradient_checkpointing import checkpoint_gradients
from mlt.engine.loop import Position, Training, train_epoch
from mlt.engine.optim import build_optimizer, build_scheduler
from mlt.losses import create_loss
from mlt.models import build_model
from mlt.models.settings import ModelConfig
from mlt.runtime.device import autocast
from mlt.runtime.interrupt import GracefulStop

CLASSES = 80
ROWS: dict[str, dict[str, Any]] = {
    "as the bare loop": {"channels_last": False, "fused": False},
    "optimizer.fused": {"channels_last": False},
    "training.channels_last, fused (the default)": {},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "autocast: bf16": {"autocast": "bf16"},
    "compile": {"compile": True},
    "compile, autocast: bf16": {"compile": True, "autocast": "bf16"},
}


class Resident:
    """The same batch over and over, as a loader of the loop."""

    def __init__(self, batch: Batch, batches: int) -> None:
        self.batch, self.batches = batch, batches
        self.full_counts = (len(batch.indices),)

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        return iter([self.batch] * self.batches)

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Every epoch is the same."""

    def is_shared(self, batch: int) -> bool:
        """There is one process."""
        return True


def mlt_loop(
    backbone: str, loader: Resident, device: torch.device, keys: dict[str, Any]
) -> tuple[Callable[[], None], nn.Module]:
    """What trains an epoch with these keys, and its model."""
    options = {key: value for key, value in keys.items() if key != "fused"}
    config = TrainingConfig(epochs=1, batch_size=loader.full_counts[0], **options)
    model: nn.Module = build_model(ModelConfig(backbone=backbone, weights="none"), CLASSES)
    if config.gradient_checkpointing:
        checkpoint_gradients(model)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    loss = create_loss("bce").to(device)
    if config.compile:
        compile_in_place(config.compile, model, loss)
    rates = OptimizerConfig(name="adamw", lr=1e-4, fused=keys.get("fused", "auto"))
    optimizer = build_optimizer(rates, model, loss)
    schedule = build_scheduler(ScheduleConfig(name="constant"), optimizer, 1e-4, 1, len(loader))
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    training = Training(model, loss, optimizer, schedule, scaler, None, Position())
    stop = GracefulStop()
    return lambda: train_epoch(training, loader, config, device, stop), model  # type: ignore[arg-type]


def bare_loop(backbone: str, loader: Resident, device: torch.device) -> Callable[[], None]:
    """What trains an epoch in as few lines as there can be."""
    model = build_model(ModelConfig(backbone=backbone, weights="none"), CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)

    def epoch() -> None:
        for batch in loader:
            logits = model(batch.images)
            nn.functional.binary_cross_entropy_with_logits(logits, batch.targets).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return epoch


def kept(model: nn.Module, images: Tensor, device: torch.device, precision: Any) -> float:
    """MB that a forward pass keeps for the backward pass, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor), autocast(device, precision):
        logits = model.train()(images)
    del logits
    return sum(sizes.values()) / 1e6


def seconds(epoch: Callable[[], None], device: torch.device) -> float:
    """How long an epoch takes."""
    start = time.perf_counter()
    epoch()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Time each row against the bare loop and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="test_resnet", help="a model of timm")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=4, help="batches of a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="also the rows that are compiled")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size, device=device)
    targets = (torch.rand(arguments.batch, CLASSES, device=device) < 0.05).float()
    batch = Batch(torch.arange(arguments.batch), images, targets, None)
    loader = Resident(batch, arguments.batches)
    trained = arguments.batch * arguments.batches
    print("| | images a second | times the bare loop | kept, MB |\n| --- | ---: | ---: | ---: |")
    for name, keys in ROWS.items():
        if "compile" in keys and not arguments.compile:
            continue
        bare = bare_loop(arguments.backbone, loader, device)
        epoch, model = mlt_loop(arguments.backbone, loader, device, keys)
        both = [(seconds(bare, device), seconds(epoch, device)) for _ in range(arguments.turns + 1)]
        (bare_time, own_time) = map(statistics.median, zip(*both[1:]))  # the first warms up
        layout = torch.channels_last if keys.get("channels_last", True) else torch.contiguous_format
        shown = images.contiguous(memory_format=layout)
        memory = (
            "" if "compile" in keys else f"{kept(model, shown, device, precision_of(keys)):.0f}"
        )
        print(f"| {name} | {trained / own_time:.1f} | {bare_time / own_time:.2f} | {memory} |")
    place = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    print(
        f"\n{date.today()}, {place}, torch {torch.__version__}, {arguments.threads} threads, "
        f"{arguments.backbone} at {arguments.size}, batches of {arguments.batch}"
    )


def precision_of(keys: dict[str, Any]) -> str:
    """The precision of a row."""
    return str(keys.get("autocast", "none"))


if __name__ == "__main__":
    main()
