"""RetinaNet's classification loss with per-label weights against its own: time and peak memory.

One image's 100,000 anchors x 91 classes, the size of a RetinaNet at 800 pixels, forward and
backward. Both are timed in turn, round after round, and the best round counts: what else runs on
the machine then hits them alike. Peak memory is beyond the logits and their gradient, in tensors of
the logits' size. Prints Markdown.

    python benchmarks/detection.py [--device cuda] [--threads 2] [--anchors 100000] [--rounds 10]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import accumulate

import torch
from torch.profiler import ProfilerActivity, profile
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead

from mlt.class_counts import ClassCounts
from mlt.detection.torchvision import attach
from mlt.losses import create_loss

CLASSES, BOXES = 91, 20
COUNTS = ClassCounts.at_columns(
    [int(20_000 / rank) for rank in range(1, 91)], range(1, 91), CLASSES
)


def detector(device: torch.device) -> RetinaNet:
    """Return a RetinaNet that is all head: only its classification loss is called."""
    backbone = torch.nn.Identity()
    backbone.out_channels = 8
    return RetinaNet(backbone, CLASSES, head=RetinaNetHead(8, 9, CLASSES)).to(device)


def step(model: RetinaNet, anchors: int, device: torch.device) -> Callable[[], None]:
    """Return a call that computes the classification loss and its gradient for fixed logits."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, anchors, CLASSES, generator=generator) - 4.6
    logits = logits.to(device).requires_grad_()
    draw = torch.rand(anchors, generator=generator)
    matched = torch.randint(0, BOXES, (anchors,), generator=generator)
    matched[draw > 0.002] = -1  # background
    matched[draw > 0.99] = -2  # between the thresholds: ignored
    targets = [{"labels": torch.randint(1, CLASSES, (BOXES,), generator=generator).to(device)}]
    matches, outputs = [matched.to(device)], {"cls_logits": logits}

    def call() -> None:
        value = model.head.classification_head.compute_loss(targets, outputs, matches)
        torch.autograd.grad(value, logits)

    return call


def best_times(calls: dict[str, Callable[[], None]], rounds: int, wait: Callable) -> dict:
    """Return the best time of each call in milliseconds."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            wait()
            start = time.perf_counter()
            call()
            wait()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def peak_memory(call: Callable[[], None], size: int, device: torch.device) -> float:
    """Return the peak beyond the gradient, in tensors of ``size`` bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        peak = torch.cuda.max_memory_allocated() - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            call()
        events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
        events.sort(key=lambda event: event.start_ns())
        peak = max(accumulate(event.nbytes() for event in events))
    return peak / size - 1


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--anchors", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    options = {"beta": 0.999, "alpha": 0.25, "scheme": "column", "reduction": "none"}
    attached = attach(detector(device), create_loss("cb_focal", COUNTS, **options))
    plain = detector(device)
    calls = {"torchvision's own": plain, "class-balanced focal, attached": attached}
    steps = {name: step(model, args.anchors, device) for name, model in calls.items()}
    times = best_times(steps, args.rounds, wait)
    size = 4 * args.anchors * CLASSES
    memory = {name: peak_memory(call, size, device) for name, call in steps.items()}

    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{args.threads} threads"
    print(f"torch {torch.__version__}, {device} ({where}), {args.anchors:,} x {CLASSES}\n")
    print("| loss | ms | ratio | peak memory | ratio |\n| --- | --: | --: | --: | --: |")
    base = next(iter(steps))
    for name in steps:
        print(
            f"| {name} | {times[name]:.0f} | {times[name] / times[base]:.2f} "
            f"| {memory[name]:.2f} | {memory[name] / memory[base]:.2f} |"
        )


if __name__ == "__main__":
    main()
