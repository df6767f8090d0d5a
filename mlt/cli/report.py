"""`mlt report`: runs as one HTML file, and their tables for a paper."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

DESCRIPTION = """\
Write one self-contained HTML file about a run, or a comparison of several runs.

  mlt report runs/digits_mlt_bce
  mlt report runs/bce-seed0 runs/bce-seed1 runs/focal-seed0 runs/focal-seed1 --output bce-focal.html

Runs whose configurations differ only in their seed are one method. The first one given is what the
others are compared with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a folder that `mlt train` wrote")
    parser.add_argument(
        "--output", metavar="FILE.html", default="report.html", help="by default report.html"
    )
    parser.add_argument("--baseline", metavar="NAME", help="compare with this method or run folder")
    parser.add_argument(
        "--tables", metavar="DIR", help="also write the tables as Markdown, CSV and LaTeX"
    )
    parser.add_argument("--no-images", action="store_true", help="embed no thumbnails")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.report.page import check_output

    output = Path(arguments.output)
    tables = Path(arguments.tables) if arguments.tables else None
    check_output(output, tables, arguments.overwrite)
    report_runs(
        arguments.runs,
        output,
        baseline=arguments.baseline,
        tables=tables,
        thumbnails=not arguments.no_images,
    )
    return 0


def report_runs(
    runs: Sequence[str | Path],
    output: Path,
    *,
    baseline: str | None = None,
    tables: Path | None = None,
    thumbnails: bool = True,
) -> None:
    """Write the report of some runs, and print its first table and where the file is.

    Args:
        runs: Run folders.
        output: The file.
        baseline: What the other methods are compared with.
        tables: A folder for the tables.
        thumbnails: Whether to embed images.
    """
    from mlt.files import write_text_atomic
    from mlt.report.methods import load_report
    from mlt.report.page import make_page, write_tables

    page = make_page(load_report(runs, baseline), thumbnails=thumbnails)
    # All files first: what cannot be printed must not cost a file.
    write_text_atomic(output, page.html)
    written = [] if tables is None else write_tables(page.tables, tables)
    print(page.tables[0].to_text())
    print(f"\nwritten to {output} ({len(page.html) / 1e6:.1f} MB)")
    if tables is not None:
        print(f"{len(written)} files with tables in {tables}")
