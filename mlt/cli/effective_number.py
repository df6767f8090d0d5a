"""`mlt effective-number`: what each beta makes of class counts, and which one to begin with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mlt.cli.arguments import add_overrides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlt.class_counts import ClassCounts
    from mlt.losses.effective_number import BetaWeights

DESCRIPTION = """\
Print effective numbers (1 - beta^n) / (1 - beta) and class-balanced weights, which sum to the
number of classes, over beta (Cui et al., CVPR 2019), and recommend a beta.

  mlt effective-number --counts 5000 2997 1796 1077 645 387 232 139 83 50
  mlt effective-number --config cifar10_lt_cb_softmax --set data.imbalance=100 --plot weights.svg"""

ROWS = 20
"""Classes in a table, unless all are asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--counts", nargs="+", metavar="N", help="training images of each class")
    source.add_argument(
        "--config", metavar="CONFIG", help="a YAML file, or the name of one of mlt's"
    )
    add_overrides(parser, "data.imbalance=100 (with --config)")
    parser.add_argument(
        "--num-images",
        type=int,
        metavar="N",
        help="with --counts: images in all, where one has several labels (default: their sum)",
    )
    parser.add_argument(
        "--betas", nargs="+", metavar="BETA", help="in [0, 1) (default: 0.9 0.99 0.999 0.9999)"
    )
    parser.add_argument(
        "--classes", action="store_true", help=f"print every class, not {ROWS} of them"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="also draw the curves (.png, .svg or .pdf; the extra `plot`)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.losses.class_weights import warn_of_clamped
    from mlt.losses.effective_number import BETAS, over_betas, recommend_beta

    if arguments.plot:
        from mlt.report.class_counts_plot import check_plot

        check_plot(arguments.plot)
    betas = BETAS if arguments.betas is None else _numbers("--betas", arguments.betas)
    counts = _counts(arguments)
    recommended, reason = recommend_beta(counts)
    rows = over_betas(counts, betas)
    warn_of_clamped(counts)
    print(_tables(counts, rows, None if arguments.classes else ROWS))
    differ = counts.counts.min() < counts.counts.max()
    if differ and (equal := [f"{row.beta:.6g}" for row in rows if row.is_equal]):
        print(f"\nre-weighting does next to nothing with beta {', '.join(equal)}")
    print(f"\nrecommended: beta {recommended:.8g}, which is `beta: auto`\n{reason}")
    if arguments.plot:
        from mlt.report.effective_number_plot import plot_effective_numbers

        plot_effective_numbers(counts, rows, arguments.plot)
        print(f"drawn in {arguments.plot}")
    return 0


def _counts(arguments: argparse.Namespace) -> ClassCounts:
    from mlt.class_counts import ClassCounts
    from mlt.errors import ConfigError

    if arguments.counts is not None:
        if arguments.overrides:
            raise ConfigError("--set changes a configuration; give --config, not --counts")
        return ClassCounts.from_counts(_numbers("--counts", arguments.counts), arguments.num_images)
    if arguments.num_images is not None:
        raise ConfigError("--num-images goes with --counts; --config counts its images")
    from mlt.config import load_config
    from mlt.data.run_data import training_split
    from mlt.run_folder import RunFolder

    config = load_config(arguments.config, arguments.overrides)
    return training_split(config.data, RunFolder(config.output).cache)[1].class_counts()


def _numbers(option: str, words: Sequence[str]) -> list[float]:
    from mlt.errors import ConfigError

    def number(word: str) -> float:
        try:
            return float(word)
        except ValueError:
            raise ConfigError(f"{option}: {word!r} is not a number") from None

    return list(map(number, words))


def _tables(counts: ClassCounts, rows: Sequence[BetaWeights], most: int | None) -> str:
    """Both tables, from the most frequent class to the rarest."""
    import numpy as np

    order = np.argsort(-counts.counts, kind="stable")
    shown = order
    if most is not None and len(order) > most:
        shown = order[np.linspace(0, len(order) - 1, most).round().astype(int)]
    width = max(len("max / min"), *(len(counts.names[c]) for c in shown))
    betas = "".join(f"{row.beta:>12.8g}" for row in rows)

    def line(c: int, values: Sequence[str]) -> str:
        numbers = "".join(f"{value:>12}" for value in values)
        return f"{counts.names[c]:{width}} {counts.counts[c]:>10,.10g}{numbers}"

    lines = [f"{counts.num_classes} classes"]
    if len(shown) < len(order):
        lines[0] += (
            f", of which {len(shown)} are shown, evenly from the most frequent to the rarest"
        )
    lines += ["", "effective number, (1 - beta^n) / (1 - beta)"]
    lines += [f"{'class':{width}} {'n':>10}{betas}"]
    lines += [line(c, [f"{row.effective[c]:,.2f}" for row in rows]) for c in shown]
    lines += ["", f"weight; the weights of all classes sum to {counts.num_classes}"]
    lines += [f"{'class':{width}} {'n':>10}{betas}"]
    lines += [line(c, [f"{row.weights[c]:.4f}" for row in rows]) for c in shown]
    ratios = "".join(f"{row.ratio:>12.4g}" for row in rows)
    return "\n".join([*lines, f"{'max / min':{width}} {'':>10}{ratios}"])
