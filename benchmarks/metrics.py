"""Average precision and AUROC of ours, scikit-learn and torchmetrics on the same arrays.

Prints Markdown: seconds (the best of several runs), ratios to ours, the largest difference from
scikit-learn; and before that the intervals, and how time and memory of ours grow.

    python benchmarks/metrics.py                         # a minute; needs torchmetrics
    python benchmarks/metrics.py --scale 1000000 1000    # up to a million x 1,000: 8 GB, minutes
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np

from mlt.metrics import auroc, average_precision, average_precision_intervals

MEGABYTE = 1e6


def data(n: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets with frequencies from 30 % down to 0.1 %, and float32 logits with a signal."""
    rng = np.random.default_rng(seed)
    frequency = np.geomspace(0.3, 0.001, c)
    targets = np.empty((n, c), bool)
    scores = np.empty((n, c), np.float32)
    for start in range(0, n, 4096):
        rows = slice(start, min(start + 4096, n))
        shape = (rows.stop - start, c)
        targets[rows] = rng.random(shape, dtype=np.float32) < frequency
        scores[rows] = rng.standard_normal(shape, dtype=np.float32) + 2 * targets[rows]
    return targets, scores


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def by_scikit_learn(metric: str, targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    from sklearn.metrics import average_precision_score, roc_auc_score

    score = {"average precision": average_precision_score, "AUROC": roc_auc_score}[metric]
    return score(targets, scores, average=None)


def by_torchmetrics(
    metric: str, targets: np.ndarray, scores: np.ndarray, threads: int
) -> np.ndarray:
    import torch
    from torchmetrics.functional.classification import (
        multilabel_auroc,
        multilabel_average_precision,
    )

    torch.set_num_threads(threads)
    score = {"average precision": multilabel_average_precision, "AUROC": multilabel_auroc}[metric]
    return score(
        torch.from_numpy(scores).sigmoid(),
        torch.from_numpy(targets).long(),
        num_labels=targets.shape[1],
        average="none",
        validate_args=False,
    ).numpy()


def against_peers(metric: str, n: int, c: int, threads: int) -> None:
    targets, scores = data(n, c)
    reference = by_scikit_learn(metric, targets, scores)
    ours_of = {"average precision": average_precision, "AUROC": auroc}[metric]
    runs: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        f"mlt, {threads} threads": (
            lambda: ours_of(targets, scores, threads=threads), 10,
        ),
        "mlt, 1 thread": (lambda: ours_of(targets, scores, threads=1), 10),
        "scikit-learn": (lambda: by_scikit_learn(metric, targets, scores), 3),
        f"torchmetrics, {threads} threads": (
            lambda: by_torchmetrics(metric, targets, scores, threads), 3,
        ),
    }  # fmt: skip
    seconds = {name: best(run, repeats) for name, (run, repeats) in runs.items()}
    ours = seconds[f"mlt, {threads} threads"]
    print(f"{metric}, {n:,} images x {c} classes, float32 scores\n")
    print("| | seconds | times ours | times ours on 1 thread | largest difference |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (run, _) in runs.items():
        difference = np.abs(run() - reference).max()
        print(
            f"| {name} | {seconds[name]:.3f} | {seconds[name] / ours:.1f} | "
            f"{seconds[name] / seconds['mlt, 1 thread']:.1f} | {difference:.1g} |"
        )


def _child(task: str, n: int, c: int, threads: int, queue: multiprocessing.Queue) -> None:
    targets, scores = data(n, c)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if task == "intervals":
        average_precision_intervals(targets, scores)
    else:
        average_precision(targets, scores, threads=threads)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queue.put((seconds, after * 1024 / MEGABYTE, (after - before) * 1024 / MEGABYTE))


def measured(task: str, n: int, c: int, threads: int) -> tuple[float, float, float]:
    """Seconds, peak MB of the process, and MB above what the arrays took; in a fresh process."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_child, args=(task, n, c, threads, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--scale", type=int, nargs=2, metavar=("N", "C"), default=(200_000, 200),
        help="the largest size of the last table",
    )  # fmt: skip
    options = parser.parse_args()
    # First, since a child process starts with the peak memory of its parent.
    seconds, peak, _ = measured("intervals", 5_000, 80, options.threads)
    print(f"intervals of 5,000 x 80: {seconds:.2f} s, peak memory {peak:.0f} MB\n")

    print("| images | classes | seconds | peak MB | of it beside the arrays |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    n, c = options.scale
    for images, classes in ((n // 16, c), (n // 4, c), (n, c // 4), (n, c)):
        seconds, peak, more = measured("average_precision", images, classes, options.threads)
        print(f"| {images:,} | {classes:,} | {seconds:.2f} | {peak:,.0f} | {more:,.0f} |")
    print()
    for metric in ("average precision", "AUROC"):
        against_peers(metric, 50_000, 80, options.threads)
        print()


if __name__ == "__main__":
    main()
