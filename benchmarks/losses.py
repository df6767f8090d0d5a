"""Every loss against torchvision's focal and timm's losses in one run: time and memory.

Forward and backward on 20,000 x 80 logits, a detector's worth, and on 64 x 80, a classifier's
batch. All are timed in turn, round after round, and the best round counts: what else runs on the
machine then hits them alike. On a machine that is shared with others, one thread's own time
(``--threads 1 --clock cpu``) is the only steady figure. Peak memory is beyond inputs and the
gradient, in tensors of the logits' size. Prints Markdown.

    python benchmarks/losses.py [--device cuda] [--threads 2] [--clock wall] [--no-compile]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from itertools import accumulate

import torch
from timm.loss import AsymmetricLossMultiLabel, DistributionBalancedLoss
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torchvision.models import resnet50
from torchvision.ops import sigmoid_focal_loss

from mlt.losses import create_loss

ROWS, CLASSES, NUM_IMAGES = 20_000, 80, 2_000
COUNTS = torch.linspace(1000, 5, CLASSES).round().tolist()
BASELINE = "torchvision focal"
OURS = [
    *("bce", "focal", "cb_bce", "cb_focal", "r_bce", "db", "db_focal", "asl", "ral", "hill"),
    *("poly", "logit_adjusted", "ldam", "eql", "splc", "zlpr", "two_way"),
]


Call = Callable[[Tensor, Tensor], Tensor]


def peers(device: torch.device) -> dict[str, Call]:
    """Return what we compare with."""
    return {
        BASELINE: lambda z, y: sigmoid_focal_loss(z, y, alpha=-1, gamma=2, reduction="mean"),
        "timm DB-focal": DistributionBalancedLoss(COUNTS, NUM_IMAGES).to(device),
        "timm ASL": AsymmetricLossMultiLabel(reduction="mean").to(device),
    }


def batch(rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return logits and binary float targets, 3 % positive."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(rows, CLASSES, generator=generator)
    targets = (torch.rand(rows, CLASSES, generator=generator) < 0.03).float()
    return logits.to(device).requires_grad_(), targets.to(device)


def best_times(
    calls: dict[str, Call],
    rows: int,
    device: torch.device,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the best time of each call, forward and backward, in milliseconds."""
    logits, targets = batch(rows, device)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            logits.grad = None
            synchronize(device)
            start = clock()
            call(logits, targets).backward()
            synchronize(device)
            best[name] = min(best[name], 1e3 * (clock() - start))
    return best


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory(call: Call, device: torch.device) -> float:
    """Return the peak beyond inputs and gradient, in tensors of the logits' size."""
    logits, targets = batch(ROWS, device)
    call(logits, targets).backward()
    logits.grad = None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call(logits, targets).backward()
        peak = torch.cuda.max_memory_allocated() - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            call(logits, targets).backward()
        events = profiler.profiler.kineto_results.events()
        changes = [e for e in events if e.name() == "[memory]"]
        changes.sort(key=lambda event: event.start_ns())
        peak = max(accumulate(event.nbytes() for event in changes))
    return peak / (logits.numel() * logits.element_size()) - 1


def copy_bandwidth(device: torch.device) -> float:
    """Return bytes read and written per second by a large copy."""
    source = torch.empty(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = float("inf")
    for _ in range(10):
        synchronize(device)
        start = time.perf_counter()
        target.copy_(source)
        synchronize(device)
        seconds = min(seconds, time.perf_counter() - start)
    return 2 * source.numel() / seconds


def resnet_step(rounds: int = 2) -> float:
    """Return the time of a ResNet-50 step on 8 images of 224 pixels, in milliseconds."""
    model, images, best = resnet50(num_classes=CLASSES), torch.randn(8, 3, 224, 224), float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        model(images).sum().backward()
        best = min(best, 1e3 * (time.perf_counter() - start))
    return best


def main() -> None:
    """Time everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    warnings.filterwarnings("ignore", message="All class weights")

    calls = peers(device)
    calls |= {name: create_loss(name, COUNTS, NUM_IMAGES).to(device) for name in OURS}
    compiled: dict[str, Call] = {}
    if not args.no_compile:
        torch._dynamo.config.recompile_limit = 64
        compiled = {name: torch.compile(calls[name], fullgraph=True) for name in OURS}
    best_times(compiled, ROWS, device, 1)  # compiles
    together = calls | {f"compiled {name}": call for name, call in compiled.items()}
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    times = best_times(together, ROWS, device, args.rounds, clock)
    small = best_times(calls, 64, device, args.rounds, clock)

    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{args.threads} threads"
    print(f"torch {torch.__version__}, {device} ({where}), {args.clock} clock,")
    print(f"{ROWS:,} x {CLASSES}, milliseconds;")
    print(f"ratios to {BASELINE} (eager)\n")
    print(
        "| loss | eager | / torchvision | compiled | / torchvision | memory | compiled | 64 x 80 |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    for name, call in calls.items():
        row = [f"{times[name]:.1f}", f"{times[name] / times[BASELINE]:.2f}", "", ""]
        memory = [f"{peak_memory(call, device):.1f}", ""]
        if name in compiled:
            milliseconds = times[f"compiled {name}"]
            row[2:] = [f"{milliseconds:.1f}", f"{milliseconds / times[BASELINE]:.2f}"]
            memory[1] = f"{peak_memory(compiled[name], device):.1f}"
        print(f"| {name} | {' | '.join(row + memory)} | {small[name]:.2f} |")
    print(f"\ndb_focal / timm DB-focal, eager: {times['db_focal'] / times['timm DB-focal']:.2f}")
    if device.type == "cpu":
        worst = max(small[name] for name in OURS)
        print(
            f"Slowest of ours on 64 x 80: {worst / resnet_step():.2%} of a ResNet-50 step on 8 "
            "images of 224 pixels."
        )
    else:
        peak = copy_bandwidth(device)
        print(f"\nCopy bandwidth {peak / 1e9:.0f} GB/s. Least traffic: logits, targets, gradient.")
        least = 3 * 4 * ROWS * CLASSES
        for name in compiled:
            rate = least / (1e-3 * times[f"compiled {name}"])
            print(f"- {name}: {rate / 1e9:.0f} GB/s, {rate / peak:.0%} of copying")


if __name__ == "__main__":
    main()
