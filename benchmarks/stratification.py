"""Iterative stratification against the packages that have it: balance of the parts, and seconds.

    python benchmarks/stratification.py [--seeds 5] [--output stratification.md]

needs `pip install iterative-stratification scikit-multilearn`. Label tables are those of the
published splits (tests/published), and random long tails. The measures are of Sechidis et al.
(2011): the label distribution distance (LD) is the mean over classes and parts of the difference
between the odds of the class in the part and in all images, the examples distribution (ED) the mean
over parts of the difference of the part's size from the size asked for. LD of pairs is that of the
pairs of classes that occur together. Missing counts, over the parts, the classes that a part does
not have though there are images enough for all parts.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from mlt.data.sparse import column_counts, csr_from_lists, csr_from_pairs
from mlt.data.splits.label_kinds import with_pairs
from mlt.data.splits.stratification import stratify

Method: TypeAlias = Callable[[np.ndarray, Sequence[float], int], np.ndarray]
PUBLISHED = Path(__file__).parents[1] / "tests" / "published"


def published_labels(name: str, num_classes: int) -> csr_array:
    """The labels of a published list: (N, C)."""
    lines = (PUBLISHED / f"{name}.txt").read_text().splitlines()
    rows = [[int(c) for c in line.split()[1:]] for line in lines]
    return csr_from_lists(rows, (len(rows), num_classes))


def long_tail(num_images: int, num_classes: int, labels_per_image: float, seed: int) -> csr_array:
    """Random labels whose frequencies fall as rank ** -1.2: (N, C)."""
    rng = np.random.default_rng(seed)
    prior = np.arange(1, num_classes + 1) ** -1.2
    prior = np.minimum(prior / prior.sum() * labels_per_image, 0.8)
    images = [np.flatnonzero(rng.random(num_images) < p) for p in prior]
    classes = np.repeat(np.arange(num_classes), [len(of_class) for of_class in images])
    return csr_from_pairs(np.concatenate(images), classes, (num_images, num_classes))


def ours(order: int) -> Method:
    """Stratification of this package."""

    def method(labels: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
        return stratify(csr_array(labels.astype(bool)), fractions, order=order, seed=seed)

    return method


def iterative_stratification(
    labels: np.ndarray, fractions: Sequence[float], seed: int
) -> np.ndarray:
    """`iterstrat.ml_stratifiers.IterativeStratification`, which its splitters call."""
    from iterstrat.ml_stratifiers import IterativeStratification

    return IterativeStratification(
        labels.astype(bool), np.array(fractions), np.random.RandomState(seed)
    )


def multilearn(order: int) -> Method:
    """`skmultilearn.model_selection.IterativeStratification`."""

    def method(labels: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
        from skmultilearn.model_selection import IterativeStratification

        options: dict[str, Any] = {
            "n_splits": len(fractions),
            "order": order,
            "sample_distribution_per_fold": list(fractions),
        }
        np.random.seed(seed)  # noqa: NPY002 - it draws from the global generator
        splitter = IterativeStratification(**options)
        parts = np.empty(len(labels), np.int64)
        for number, (_, rows) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
            parts[rows] = number
        return parts

    return method


METHODS: dict[str, Method] = {
    "mlt": ours(1),
    "mlt, order 2": ours(2),
    "iterative-stratification": iterative_stratification,
    "scikit-multilearn": multilearn(1),
    "scikit-multilearn, order 2": multilearn(2),
}


def distance(labels: csr_array, parts: np.ndarray, count: int) -> float:
    """LD of some columns: the mean over columns and parts of the difference of the odds."""
    total = column_counts(labels)
    odds = total / np.maximum(labels.shape[0] - total, 1)
    found = []
    for part in range(count):
        here = column_counts(labels[parts == part])
        found.append(np.abs(here / np.maximum((parts == part).sum() - here, 1) - odds))
    return float(np.mean(found))


def measures(
    labels: csr_array, pairs: csr_array, parts: np.ndarray, fractions: Sequence[float]
) -> tuple[float, float, float, int]:
    """LD, LD of pairs, ED, and in how many parts a class is missing that has images enough."""
    count, total = len(fractions), column_counts(labels)
    sizes = np.bincount(parts, minlength=count)
    missing = sum(
        int(((column_counts(labels[parts == part]) == 0) & (total >= count)).sum())
        for part in range(count)
    )
    examples = float(np.abs(sizes - np.array(fractions) * labels.shape[0]).mean())
    return distance(labels, parts, count), distance(pairs, parts, count), examples, missing


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", metavar="FILE", type=Path)
    arguments = parser.parse_args()
    tables = {
        "VOC-MLT training": published_labels("voc2012_trainval_labels", 20)[_voc_mlt_rows()],
        "VOC2012 trainval": published_labels("voc2012_trainval_labels", 20),
        "COCO-MLT training": published_labels("coco_mlt_train_labels", 80),
        "COCO val2017": published_labels("coco_val2017_labels", 80),
        "long tail, 1,000 x 100": long_tail(1_000, 100, 3, 0),
        "long tail, 10,000 x 100": long_tail(10_000, 100, 3, 1),
    }
    cuts = {"70/10/20": [0.7, 0.1, 0.2], "5 folds": [0.2] * 5}
    lines = [
        f"{datetime.date.today()}, {arguments.seeds} seeds, means",
        "",
        "| table | cut | method | LD | LD of pairs | ED | missing | CPU seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, labels in tables.items():
        dense = labels.toarray().astype(int)
        pairs = csr_array(with_pairs(labels)[:, labels.shape[1] :])
        for cut, fractions in cuts.items():
            for method, assign in METHODS.items():
                found, seconds = [], []
                for seed in range(arguments.seeds):
                    start = time.process_time()
                    parts = assign(dense, fractions, seed)
                    seconds.append(time.process_time() - start)
                    found.append(measures(labels, pairs, parts, fractions))
                ld, of_pairs, ed, missing = np.mean(found, axis=0)
                lines.append(
                    f"| {name} | {cut} | {method} | {ld:.5f} | {of_pairs:.5f} | {ed:.2f} | "
                    f"{missing:.1f} | {np.mean(seconds):.2f} |"
                )
                print(lines[-1], flush=True)
    large = long_tail(1_000_000, 100, 3, 2)
    for order in (1, 2):
        start = time.process_time()
        stratify(large, cuts["70/10/20"], order=order)
        seconds = time.process_time() - start
        lines.append(f"\n1,000,000 images x 100 classes, order {order}: {seconds:.1f} CPU seconds")
    text = "\n".join(lines) + "\n"
    print(text) if arguments.output is None else arguments.output.write_text(text)


def _voc_mlt_rows() -> list[int]:
    lines = (PUBLISHED / "voc2012_trainval_labels.txt").read_text().splitlines()
    row_of = {line.split()[0]: row for row, line in enumerate(lines)}
    ids = (PUBLISHED / "voc_mlt_train_ids.txt").read_text().split()
    return [row_of[image_id] for image_id in ids]


if __name__ == "__main__":
    main()
