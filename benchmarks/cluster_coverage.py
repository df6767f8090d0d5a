"""How often intervals cover the truth where patients have several images, with and without groups.

Each repetition draws a fresh test set of patients with one to ten images. A patient has a class in
all images or, now and then, not in one of them; scores are normally distributed with standard
deviation 1, and most of their variance is shared by the images of a patient, half of this by the
classes too. So the average precision and AUROC of the population are those of independent images,
by integration. Two models have the same separation and correlated scores: a true null for the
paired test. Prints Markdown.

    python benchmarks/cluster_coverage.py --repetitions 1000 --seed 0   # figures of intervals.md
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
from interval_coverage import covers, true_average_precision
from scipy.special import ndtr

from mlt.metrics import (
    auroc_intervals,
    average_precision_intervals,
    compare_seeds,
)
from mlt.predictions import Predictions

PATIENTS = 400
POSITIVES = (5, 10, 20, 50, 100)
"""Expected patients that have the class."""
SEPARATION = 1.5
OF_PATIENT = 0.6
"""Share of the variance of a score that the images of a patient have in common."""
SHOWN = 0.8
"""Share of the images of such a patient that have the class."""
COMMON = 0.7
"""Correlation of the two models."""

Arrays = tuple[np.ndarray, np.ndarray, list[np.ndarray]]


def noise(patient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, C) normal deviates of variance 1 that the images of a patient share in part."""
    classes = len(POSITIVES)
    of_patient = rng.normal(size=(PATIENTS, 1)) + rng.normal(size=(PATIENTS, classes))
    own = rng.normal(size=(len(patient), classes))
    return np.sqrt(OF_PATIENT / 2) * of_patient[patient] + np.sqrt(1 - OF_PATIENT) * own


def draw(rng: np.random.Generator) -> Arrays:
    """The patient of each image, the targets, and the scores of two models."""
    patient = np.repeat(np.arange(PATIENTS), np.minimum(rng.geometric(0.3, PATIENTS), 10))
    has = rng.random((PATIENTS, len(POSITIVES))) < np.array(POSITIVES) / PATIENTS
    targets = has[patient] & (rng.random((len(patient), len(POSITIVES))) < SHOWN)
    common = noise(patient, rng)
    scores = [
        np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * noise(patient, rng) + SEPARATION * targets
        for _ in range(2)
    ]
    return patient, targets, scores


def repetition(
    found: dict[str, dict[str, list[float]]], truth: np.ndarray, rng: np.random.Generator
) -> None:
    """Everything that is measured on one test set."""
    patient, targets, (first, second) = draw(rng)
    there = targets.any(axis=0)
    area = float(ndtr(SEPARATION / np.sqrt(2)))
    rows = [*range(len(POSITIVES)), None]
    for name, groups in (("by patient", patient), ("by image", None)):
        ap = average_precision_intervals(targets, first, image_groups=groups)
        auroc = auroc_intervals(targets, first, image_groups=groups)
        sides = [
            Predictions.from_arrays(scores.astype(np.float32), targets, groups=groups)
            for scores in (first, second)
        ]
        members = {str(k): [k] for k in range(len(POSITIVES))}
        tests = compare_seeds([sides[0]], [sides[1]], groups=members)
        for k in rows:
            row = "mean of all" if k is None else f"{POSITIVES[k]} patients"
            of_row = truth[there].mean() if k is None else truth[k]
            for metric, of, true in (("AP", ap, of_row), ("AUROC", auroc, area)):
                interval = of.means["total"] if k is None else of.per_class[k]
                found[row][f"{metric} {name}"].append(covers(interval, true))
            p_value = tests["total" if k is None else str(k)].p_value
            rejected = np.nan if np.isnan(p_value) else float(p_value < 0.05)
            found[row][f"test {name}"].append(rejected)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    prevalence = SHOWN * np.array(POSITIVES) / PATIENTS
    truth = np.array([true_average_precision(p, SEPARATION) for p in prevalence])
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    start = time.perf_counter()
    for _ in range(options.repetitions):
        repetition(found, truth, rng)
    print(f"{options.repetitions} repetitions, {time.perf_counter() - start:.0f} s\n")
    columns = [
        f"{what} {how}" for what in ("AP", "AUROC", "test") for how in ("by patient", "by image")
    ]
    print(f"| | {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * len(columns)}")
    for row, values in found.items():
        cells = [f"{100 * np.nanmean(values[c]):.1f}" for c in columns]
        print(f"| {row} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
