"""What an epoch of each sampler costs on a table of the size of MIMIC-CXR: seconds and memory.

Builds 377,110 images with 45 long-tailed classes (CXR-LT 2024's size) and draws epochs. Prints
Markdown.

    python benchmarks/samplers.py
"""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np

from mlt.data.samplers import (
    ClassAwareSampler,
    EpochSampler,
    RepeatFactorSampler,
    ShuffleSampler,
    WeightedSampler,
)
from mlt.data.sparse import csr_from_pairs

IMAGES, CLASSES = 377_110, 45


def main() -> None:
    """Build, draw, print."""
    generator = np.random.default_rng(0)
    shares = 0.35 * np.arange(1, CLASSES + 1) ** -1.3
    columns = [generator.choice(IMAGES, int(IMAGES * share), replace=False) for share in shares]
    classes = np.repeat(np.arange(CLASSES), [len(column) for column in columns])
    labels = csr_from_pairs(np.concatenate(columns), classes, (IMAGES, CLASSES))
    weights = generator.random(IMAGES)
    samplers: dict[str, Callable[[], EpochSampler]] = {
        "shuffle": lambda: ShuffleSampler(IMAGES),
        "class-aware": lambda: ClassAwareSampler(labels),
        "repeat factor": lambda: RepeatFactorSampler(labels, threshold=0.01),
        "weighted": lambda: WeightedSampler(weights),
    }
    warnings.simplefilter("ignore")
    print(f"{IMAGES:,} images, {CLASSES} classes, {labels.nnz:,} labels\n")
    print("| sampler | draws per epoch | build | an epoch | epoch 10 from the start | memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, build in samplers.items():
        seconds, sampler = timed(build)
        epoch, _ = timed(lambda s=sampler: s.draws(0))
        replay, _ = timed(lambda b=build: b().draws(9))
        tracemalloc.start()
        build().draws(0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"| {name} | {sampler.num_draws:,} | {seconds:.2f} s | {epoch:.2f} s | {replay:.2f} s "
            f"| {peak / 1e6:.0f} MB |"
        )


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds and result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
