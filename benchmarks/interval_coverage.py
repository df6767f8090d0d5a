"""How often intervals cover the truth, and how often tests cry wolf, on simulated data.

The package's own (without resampling) beside those of the bootstrap (`bootstrap.py`), of average
precision; and the package's own of AUROC.

Each repetition draws a fresh test set of independent images. A class has expected n positives, and
scores normally distributed with standard deviation 1, those of positives higher by a separation, so
that the average precision of the population is known by integration, and its AUROC in closed form.
Two models have the same separation and correlated scores: a true null for the paired tests. In the
second part, models are trained again with another seed, which moves their separation. Prints
Markdown.

    python benchmarks/interval_coverage.py                       # 100 repetitions, a minute
    python benchmarks/interval_coverage.py --repetitions 1000    # the figures of docs/intervals.md
    python benchmarks/interval_coverage.py --resamples 0         # without the bootstrap
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from bootstrap import bootstrap_intervals, bootstrap_test
from scipy.special import ndtr

from mlt.metrics import (
    Interval,
    aggregate_seeds,
    auroc_intervals,
    average_precision_intervals,
    compare_seeds,
)
from mlt.predictions import Predictions

POSITIVES = (2, 3, 5, 10, 20, 50, 100)
SEPARATIONS = (1.0, 2.0, 3.0)
CLASSES = [(n, separation) for n in POSITIVES for separation in SEPARATIONS]
COUNTS = [n for n, _ in CLASSES]
CORRELATION = 0.7
SEED_SPREAD = 0.15
"""Standard deviation of the separation over seeds."""


def true_average_precision(prevalence: float, separation: float) -> float:
    """Of infinitely many images: the integral of precision over recall."""
    t = np.linspace(-10, 10 + separation, 40_001)
    density = np.exp(-((t - separation) ** 2) / 2) / np.sqrt(2 * np.pi)
    hits, alarms = prevalence * ndtr(separation - t), (1 - prevalence) * ndtr(-t)
    return float(np.trapezoid(density * hits / np.maximum(hits + alarms, 1e-300), t))


def over_seeds(prevalence: float, separation: float) -> float:
    """The same, averaged over the separations that seeds give."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    values = [true_average_precision(prevalence, separation + SEED_SPREAD * x) for x in nodes]
    return float(weights @ values / weights.sum())


def draw(
    images: int, models: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Targets, and the scores of one model for each given (C,) separation."""
    shape = (images, len(CLASSES))
    targets = rng.random(shape) < np.array(COUNTS) / images
    common = np.sqrt(CORRELATION) * rng.normal(size=shape)
    own = np.sqrt(1 - CORRELATION)
    return targets, [common + own * rng.normal(size=shape) + targets * s for s in models]


def predictions(*methods: list[np.ndarray], targets: np.ndarray) -> list[list[Predictions]]:
    """One predictions per model, for the models of each method."""
    return [
        [
            Predictions.from_arrays(s.astype(np.float32), targets, class_counts=COUNTS)
            for s in scores
        ]
        for scores in methods
    ]


def groups() -> dict[str, np.ndarray]:
    """Means over classes by their number of positives."""
    n = np.array(COUNTS)
    return {
        "mean of all": np.arange(len(n)),
        "mean of 2 to 10 positives": np.flatnonzero(n <= 10),
        "mean of 20 positives": np.flatnonzero(n == 20),
        "mean of 20 or more": np.flatnonzero(n >= 20),
    }


def covers(interval: Interval, truth: float) -> float:
    """1 or 0; NaN without an interval."""
    return float(interval.low <= truth <= interval.high) if interval.defined else np.nan


def repetition(
    images: int,
    resamples: int,
    truth: np.ndarray,
    true_auroc: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[tuple[str, str, float]]:
    """(row, column, 0 or 1 or width) of everything measured on one test set."""
    separation = np.array([s for _, s in CLASSES])
    targets, (first, second) = draw(images, [separation, separation], rng)
    there = targets.any(axis=0)
    members = groups()
    seed = int(rng.integers(2**31))
    rows = [f"{n} positives, separation {s:g}" for n, s in CLASSES] + list(members)
    columns = [[k] for k in range(len(CLASSES))] + list(members.values())
    ours = average_precision_intervals(targets, first, groups=members)
    areas = auroc_intervals(targets, first, groups=members)
    resampled: list[dict[str, Interval]] = [{} for _ in rows]
    if resamples:
        resampled = bootstrap_intervals(targets, first, columns, resamples=resamples, seed=seed)
    single = {row: [k] for k, row in enumerate(rows[: len(CLASSES)])}
    sides = predictions([first], [second], targets=targets)
    tests = {
        "Student": compare_seeds(*sides, groups=single | members),
        "AUROC test": compare_seeds(*sides, groups=single | members, metric="AUROC"),
    }
    if resamples:
        tests["bootstrap"] = bootstrap_test(
            targets, first, second, single | members, resamples=resamples, seed=seed
        )
    for row, classes, theirs in zip(rows, columns, resampled, strict=True):
        own, area = (
            found.means[row] if row in members else found.per_class[classes[0]]
            for found in (ours, areas)
        )
        defined = np.array(classes)[there[classes]]
        of_row = truth[defined].mean() if len(defined) else np.nan
        for method, interval in {"analytic": own, **theirs}.items():
            yield row, method, covers(interval, of_row)
        yield row, "AUROC", covers(area, true_auroc[defined].mean() if len(defined) else np.nan)
        for test, differences in tests.items():
            p_value = differences[row].p_value if row in differences else np.nan
            yield row, test, np.nan if np.isnan(p_value) else float(p_value < 0.05)


def seed_repetition(
    images: int, seeds: int, truth: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, str, float]]:
    """The same for two methods of several seeds each, over classes of 20 positives or more."""
    separation = np.array([s for _, s in CLASSES])
    moves = rng.normal(scale=SEED_SPREAD, size=2 * seeds)
    targets, scores = draw(images, [separation + move for move in moves], rng)
    (runs,) = predictions(scores, targets=targets)
    there = targets.any(axis=0)
    row = f"mean of all, {seeds} seeds"
    of_method = aggregate_seeds(runs[:seeds])
    yield row, "analytic", covers(of_method["total"].interval, truth[there].mean())
    between = compare_seeds(runs[:seeds], runs[seeds:])
    yield row, "Student", float(between["total"].p_value < 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    n = options.images
    truth = np.array([true_average_precision(k / n, s) for k, s in CLASSES])
    true_auroc = np.array([ndtr(s / np.sqrt(2)) for _, s in CLASSES])
    truth_of_seeds = np.array([over_seeds(k / n, s) for k, s in CLASSES])
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    start = time.perf_counter()
    for _ in range(options.repetitions):
        for row, column, value in repetition(n, options.resamples, truth, true_auroc, rng):
            found[row][column].append(value)
        for seeds in (3, 5):
            for row, column, value in seed_repetition(n, seeds, truth_of_seeds, rng):
                found[row][column].append(value)
    print(
        f"{options.repetitions} repetitions of {n} images, {options.resamples} resamples, "
        f"{time.perf_counter() - start:.0f} s. Percent of repetitions in which the 95 % interval "
        f"covers the truth, and in which a paired test at 5 % rejects a true null; the standard "
        f"error is {100 * np.sqrt(0.05 * 0.95 / options.repetitions):.1f}.\n"
    )
    shown = {
        "analytic": "analytic",
        "bca": "BCa",
        "percentile": "percentile",
        "Student": "Student's test",
        "bootstrap": "bootstrap test",
        "AUROC": "AUROC, analytic",
        "AUROC test": "AUROC, Student's test",
    }
    if not options.resamples:
        shown = {k: v for k, v in shown.items() if k not in ("bca", "percentile", "bootstrap")}
    print(f"| | true AP | true AUROC | {' | '.join(shown.values())} |")
    print(f"| --- |{' ---: |' * (2 + len(shown))}")
    names = [f"{k} positives, separation {s:g}" for k, s in CLASSES]
    values = {row: f"{a:.3f} | {b:.3f}" for row, a, b in zip(names, truth, true_auroc)}
    for row, columns in found.items():
        cells = [f"{100 * np.nanmean(columns[c]):.1f}" if c in columns else "" for c in shown]
        print(f"| {row} | {values.get(row, ' | ')} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
