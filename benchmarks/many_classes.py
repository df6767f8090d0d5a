"""Memory and time of heads with many classes: ML-Decoder's groups against a query per class.

    python benchmarks/many_classes.py
    python benchmarks/many_classes.py --classes 80 1000   # quick

Each head learns from a batch of random feature maps of 7 x 7 positions and 1280 features, as an
EfficientNet-Lite0 gives them at 224 pixels; width 256 and 4 attention heads in all. Prints
Markdown: parameters, milliseconds per image of an update (forward, backward, SGD) and of
prediction, the best of 5, and the peak of memory above what the process had before, each head in a
process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import torch
from torch import nn

from mlt.models.heads import MLDecoder, Query2Label

BATCH, FEATURES, SIDE = 16, 1280, 7


def heads(num_classes: int) -> dict[str, nn.Module]:
    """The heads that are compared."""

    def decoder(groups: int) -> MLDecoder:
        return MLDecoder(FEATURES, num_classes, groups, 256, 4, 1024)

    return {
        "ml_decoder, 100 groups": decoder(100),
        "ml_decoder, a query per class": decoder(num_classes),
        "query, 0 + 1 layers": Query2Label(FEATURES, num_classes, 256, 4, 0, 1),
        "query, 0 + 1 layers, self-attention": Query2Label(
            FEATURES, num_classes, 256, 4, 0, 1, self_attention=True
        ),
    }


def measure(name: str, num_classes: int) -> None:
    """Print parameters, times and memory of one head."""
    head = heads(num_classes)[name]
    optimizer = torch.optim.SGD(head.parameters(), 0.01)
    features = torch.rand(BATCH, FEATURES, SIDE, SIDE)
    before = peak()

    def update() -> None:
        head(features).sigmoid().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    def predict() -> None:
        with torch.inference_mode():
            head(features)

    cells = [f"{sum(p.numel() for p in head.parameters()) / 1e6:.1f} M"]
    for work in (update, predict):
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
        cells.append(f"{1000 * min(taken) / BATCH:.1f}")
    cells.append(f"{peak() - before:,.0f}")
    print(f"| {num_classes:,} | {name} | {' | '.join(cells)} |")


def peak() -> float:
    """The largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Measure all heads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[80, 1000, 10000])
    parser.add_argument("--head", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.head:
        measure(arguments.head, arguments.classes[0])
        return
    print("| classes | head | parameters | update, ms | prediction, ms | memory, MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for count in arguments.classes:
        for name in heads(1):
            command = [sys.executable, __file__, "--classes", str(count), "--head", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
                print(f"| {count:,} | {name} | failed: {reason} | | | |", flush=True)
            else:
                print(done.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
