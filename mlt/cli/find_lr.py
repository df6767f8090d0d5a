"""`mlt find-lr`: the loss while the learning rate grows, and which rate it suggests."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mlt.cli.arguments import add_overrides

if TYPE_CHECKING:
    from mlt.engine.lr_suggestions import RangeTest

DESCRIPTION = """\
Train a copy of a run for some updates while the learning rate grows, and suggest a rate from the
loss (learning-rate range test, Smith 2017). No run folder is touched.

  mlt find-lr my.yaml
  mlt find-lr my.yaml --from 1e-5 --to 10 --updates 200 --output lr
  mlt find-lr my.yaml --set optimizer.name=sgd"""

ROWS = 20
"""Rows of the table, of which each stands for several updates."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of one of mlt's")
    add_overrides(parser, "optimizer.name=sgd")
    parser.add_argument(
        "--from",
        dest="start",
        type=float,
        default=1e-6,
        metavar="LR",
        help="rate of the first update (default: %(default)s)",
    )
    parser.add_argument(
        "--to",
        dest="end",
        type=float,
        default=1.0,
        metavar="LR",
        help="rate of the last update (default: %(default)s)",
    )
    parser.add_argument(
        "--updates",
        type=int,
        default=100,
        metavar="N",
        help="updates from one to the other; fewer if the loss diverges (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="write find_lr.json and the plot find_lr.svg there (needs the extra `plot`)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace these files")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from pathlib import Path

    from mlt.config import load_config
    from mlt.errors import OutputExistsError
    from mlt.files import write_json_object

    config = load_config(arguments.config, arguments.overrides)
    folder = Path(arguments.output) if arguments.output else None
    if folder is not None:
        from mlt.report.class_counts_plot import check_plot
        from mlt.report.lr_plot import plot_range_test

        file, picture = folder / "find_lr.json", folder / "find_lr.svg"
        check_plot(picture)
        if (file.exists() or picture.exists()) and not arguments.overwrite:
            raise OutputExistsError(
                f"--output {folder} has {file.name} already; --overwrite replaces it"
            )
    from mlt.engine.find_lr import find_lr

    found = find_lr(config, start=arguments.start, end=arguments.end, updates=arguments.updates)
    print(_text(found, arguments.end))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json_object(file, found.to_json())
        plot_range_test(found, picture)
        print(f"the curve is in {picture}")
    return 0


def _text(found: RangeTest, end: float) -> str:
    """The curve as a table, and the suggestions."""
    curve = found.smoothed
    shown = sorted({round(i * (len(curve) - 1) / (ROWS - 1)) for i in range(ROWS)})
    lines = [f"{'lr':>10} {'loss':>10} {'smoothed':>10}"]
    lines += [f"{found.rates[i]:>10.2e} {found.losses[i]:>10.4f} {curve[i]:>10.4f}" for i in shown]
    steepest, lowest = (found.suggestions[key] for key in ("steepest", "minimum_over_10"))
    lines += [
        "",
        f"steepest fall of the loss    {steepest:.2e}",
        f"lowest loss, divided by 10   {lowest:.2e}",
        f"configured                   {found.configured:.2e}",
        "",
        *found.notes(end),
        f"to take the recommended one: --set optimizer.lr={found.suggestion:.2g}",
    ]
    return "\n".join(lines)
