"""`mlt report`: runs as one HTML file, and their tables for a paper."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlt.cli.prediction_tables import (
    add_table_arguments,
    is_table,
    read_predictions,
    refuse_table_arguments,
)

if TYPE_CHECKING:
    from mlt.report.runs import Run

DESCRIPTION = """\
Write one self-contained HTML file about a run, or a comparison of several runs.

  mlt report runs/digits_mlt_bce
  mlt report runs/digits_mlt_bce --where-seen
  mlt report runs/bce-seed0 runs/bce-seed1 runs/focal-seed0 runs/focal-seed1 --output bce-focal.html

Runs whose configurations differ only in their seed are one method. The first one given is what the
others are compared with. Tables of scores of other tools stand beside them:

  mlt report ours.csv theirs.csv --probabilities --targets truth.csv --train-targets train.csv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="a folder of `mlt train`, or a table of scores"
    )
    parser.add_argument(
        "--output", metavar="FILE.html", default="report.html", help="by default report.html"
    )
    parser.add_argument("--baseline", metavar="NAME", help="compare with this method or run folder")
    parser.add_argument(
        "--tables", metavar="DIR", help="also write the tables as Markdown, CSV and LaTeX"
    )
    parser.add_argument("--no-images", action="store_true", help="embed no thumbnails")
    parser.add_argument(
        "--where-seen",
        action="store_true",
        help="show where labels were seen on the worst mistakes of tail classes (one method only)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")
    add_table_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.errors import ConfigError
    from mlt.report.page import check_output

    output = Path(arguments.output)
    tables = Path(arguments.tables) if arguments.tables else None
    check_output(output, tables, arguments.overwrite)
    runs = read_runs(arguments, arguments.runs)
    if any(not isinstance(run, str) and run.predictions.class_counts is None for run in runs):
        raise ConfigError(
            "a report shows classes by how frequent they are in the training images: give their "
            "labels, --train-targets FILE (mlt evaluate and mlt compare do without)"
        )
    report_runs(
        runs,
        output,
        baseline=arguments.baseline,
        tables=tables,
        thumbnails=not arguments.no_images,
        where_seen=arguments.where_seen,
    )
    return 0


def read_runs(arguments: argparse.Namespace, files: Sequence[str]) -> list[str | Run]:
    """Read tables of scores; run folders are left to the report.

    Args:
        arguments: Has what :func:`mlt.cli.prediction_tables.add_table_arguments` declares.
        files: Tables, run folders and predictions.npz.
    """
    from mlt.class_groups import GroupLimits
    from mlt.report.runs import Run

    if not any(map(is_table, files)):
        refuse_table_arguments(arguments, "there are only runs here, which know all this")
    runs: list[str | Run] = []
    for file in files:
        if not is_table(file):
            runs.append(file)
            continue
        predictions = read_predictions(arguments, file)
        runs.append(Run(Path(file), predictions, GroupLimits(), {}))
    return runs


def report_runs(
    runs: Sequence[str | Path | Run],
    output: Path,
    *,
    baseline: str | None = None,
    tables: Path | None = None,
    thumbnails: bool = True,
    where_seen: bool = False,
    printed: Sequence[str] = (),
) -> None:
    """Write the report of some runs, and print its first table and where the file is.

    Args:
        runs: Run folders, or what was read already.
        output: The file.
        baseline: What the other methods are compared with.
        tables: A folder for the tables.
        thumbnails: Whether to embed images.
        where_seen: Whether to show where labels were seen.
        printed: Names of further tables to print.
    """
    from mlt.files import write_text_atomic
    from mlt.report.methods import load_report
    from mlt.report.page import make_page, write_tables

    report = load_report(runs, baseline)
    page = make_page(report, thumbnails=thumbnails, where_seen=where_seen)
    # All files first: what cannot be printed must not cost a file.
    write_text_atomic(output, page.html)
    written = [] if tables is None else write_tables(page.tables, tables)
    print(page.tables[0].to_text())
    for table in page.tables[1:]:
        if table.name in printed:
            print(f"\n{table.title}\n{table.to_text()}")
    print(f"\nwritten to {output} ({len(page.html) / 1e6:.1f} MB)")
    if tables is not None:
        print(f"{len(written)} files with tables in {tables}")
