"""Draw the class-balanced term and the weights of long-tailed CIFAR-10: docs/effective_number.svg.

python docs/effective_number.py [--output docs/effective_number.svg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt

from mlt.class_counts import ClassCounts
from mlt.losses.class_weights import effective_number_weights, effective_numbers
from mlt.losses.effective_number import BETAS, over_betas

# CIFAR-10-LT with imbalance 100.
COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def main() -> None:
    """Draw three panels: effective number and class-balanced term against n, weights by class."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".svg"))
    args = parser.parse_args()
    plt.rcParams |= {"svg.hashsalt": "mlt", "svg.fonttype": "none", "font.size": 9}
    figure, (number, term, weight) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    sizes = np.geomspace(1, 10_000, 100)
    for beta in (0.0, *BETAS):
        number.plot(sizes, effective_numbers(sizes, beta), label=f"beta {beta:g}", linewidth=1.3)
        term.plot(sizes, effective_number_weights(sizes, beta), linewidth=1.3)
    for axes, name in ((number, "effective number"), (term, "class-balanced term")):
        axes.set(xscale="log", yscale="log", xlabel="images n of a class", ylabel=name)
    number.legend(frameon=False)
    for row in over_betas(ClassCounts.from_counts(COUNTS)):
        auto = "" if row.beta in BETAS else " (auto)"
        weight.plot(row.weights, marker=".", label=f"beta {row.beta:.6g}{auto}", linewidth=1.3)
    weight.set(yscale="log", xlabel="class of CIFAR-10-LT, imbalance 100", ylabel="weight, mean 1")
    weight.legend(frameon=False)
    for axes in (number, term, weight):
        axes.grid(alpha=0.3)
    figure.savefig(args.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
