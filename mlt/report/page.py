"""The page as a whole: one file that loads nothing and runs only the script it came with."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from mlt import __version__
from mlt.errors import OutputExistsError
from mlt.files import write_text_atomic
from mlt.metrics import aggregate_seeds, summarize
from mlt.report import background, closely, overview, results
from mlt.report.comparison import Compared, compare_methods
from mlt.report.details import class_details
from mlt.report.images import Images, find_images
from mlt.report.markup import Html, script_json, tag
from mlt.report.methods import Report
from mlt.report.tables import Table

__all__ = ["Page", "check_output", "make_page", "write_page", "write_tables"]

TABLE_FORMATS = {"md": Table.to_markdown, "csv": Table.to_csv, "tex": Table.to_latex}


@dataclass(frozen=True)
class Page:
    """A report, made.

    Attributes:
        html: The file's text.
        tables: The tables in it, the most important first.
    """

    html: str
    tables: tuple[Table, ...]


def make_page(report: Report, *, thumbnails: bool = True) -> Page:
    """Compute and lay out everything.

    Args:
        report: What it is about.
        thumbnails: Whether to embed the most wrong images.
    """
    build = _Builder(report)
    if thumbnails:
        images = find_images(report.baseline.first)
    else:
        images = Images({}, "The report was made without images.")
    details = class_details(report, images)
    top = build.comparison() if build.compared else build.summary()
    parts = [
        top,
        build.classes(),
        closely.one_class_section(report, details.notes, build.calibrated),
        *([build.pairs()] if report.single else []),
        *build.thresholds(),
        background.training_section(report),
        build.settings(),
    ]
    return Page(_document(_title(report), _subtitle(report), parts, details.data),
                tuple(build.tables))  # fmt: skip


def write_page(report: Report, output: str | Path, *, thumbnails: bool = True) -> Path:
    """Write the page; a file that is there already is replaced."""
    write_text_atomic(output, make_page(report, thumbnails=thumbnails).html)
    return Path(output)


def write_tables(tables: tuple[Table, ...], folder: str | Path) -> list[Path]:
    """Write each table as Markdown, CSV and LaTeX."""
    written = []
    for table in tables:
        for suffix, write in TABLE_FORMATS.items():
            path = Path(folder) / f"{table.name}.{suffix}"
            write_text_atomic(path, write(table).rstrip("\n") + "\n")
            written.append(path)
    return written


def check_output(output: Path, tables: Path | None, overwrite: bool) -> None:
    """Refuse to write over what is there unless told to.

    Raises:
        OutputExistsError: If the file or tables are there already, or are of the wrong kind.
    """
    if output.is_dir():
        raise OutputExistsError(f"--output {output} is a folder; name a file such as report.html")
    if output.exists() and not overwrite:
        raise OutputExistsError(f"--output {output} is there already; --overwrite replaces it")
    if tables is None:
        return
    if tables.exists() and not tables.is_dir():
        raise OutputExistsError(f"--tables {tables} is a file; name a folder")
    taken = [p.name for suffix in TABLE_FORMATS for p in tables.glob(f"*.{suffix}")]
    if taken and not overwrite:
        raise OutputExistsError(
            f"--tables {tables} has {taken[0]} already; --overwrite replaces it"
        )


class _Builder:
    """Makes sections and remembers their tables."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.run = report.baseline.first
        self.tables: list[Table] = []

    @cached_property
    def compared(self) -> Compared | None:
        return None if self.report.single else compare_methods(self.report)

    @property
    def calibrated(self) -> bool:
        return any(method.first.calibration for method in self.report.methods)

    def keep(self, *tables: Table) -> list[Table]:
        self.tables += tables
        return list(tables)

    def summary(self) -> Html:
        groups = self.report.stats.groups
        means = aggregate_seeds(self.report.baseline.predictions, groups=groups)
        of_first = summarize(self.run.predictions, limits=self.run.limits)
        # Tiles show the first of the two.
        _, rates = self.keep(
            results.mean_table(self.report, means), results.rates_table(of_first, self.run)
        )
        return overview.summary_section(self.report, means, of_first, rates)

    def comparison(self) -> Html:
        assert self.compared is not None
        tables = self.keep(self.compared.mean_table(), self.compared.difference_table())
        return overview.comparison_section(self.compared, tables)

    def classes(self) -> Html:
        if self.compared is not None:
            (table,) = self.keep(self.compared.class_table())
            return overview.compared_classes_section(self.compared, table)
        means = results.class_means(self.report)
        (table,) = self.keep(results.class_table(self.report, means))
        return overview.classes_section(self.report, means, table)

    def pairs(self) -> Html:
        html, table = closely.confusion_section(self.report)
        self.keep(table)
        return html

    def thresholds(self) -> list[Html]:
        decision = self.run.decision
        if not self.report.single or decision is None or decision.thresholds is None:
            return []
        thresholds = decision.thresholds
        checks = self.run.checks
        held_out = [results.held_out_table(checks), results.calibration_table(checks)]
        by_class = results.threshold_table(self.report, self.run, thresholds)
        tables = self.keep(*(table for table in held_out if table), by_class)
        goal = f"{thresholds.goal} of {thresholds.target:g}, shrinkage {thresholds.shrinkage:g}"
        return [background.thresholds_section(tables, goal)]

    def settings(self) -> Html:
        runs = results.run_table(self.report)
        html, settings = background.settings_section(self.report, runs)
        self.keep(runs, *([settings] if settings and settings.rows else []))
        return html


_NAVIGATION = {
    "summary": "Summary",
    "comparison": "Comparison",
    "classes": "Classes",
    "class": "One class",
    "pairs": "Pairs",
    "thresholds": "Thresholds",
    "training": "Training",
    "runs": "Runs",
}


def _title(report: Report) -> str:
    if report.single:
        return report.baseline.name
    names = [method.name for method in report.methods]
    return f"{len(names)} methods compared" if len(names) > 2 else " and ".join(names)


def _subtitle(report: Report) -> str:
    first = report.baseline.first
    data = first.config.get("data", {}).get("name")
    sizes = {run.predictions.num_train_images for m in report.methods for run in m.runs}
    whose = f" ({report.baseline.name})" if len(sizes) > 1 else ""
    size = first.predictions.num_train_images
    trained = "" if size is None else f"{size:,} training images{whose}, "
    return (
        f"{f'{data}: ' if data else ''}{len(first.predictions):,} test images, "
        f"{trained}{report.stats.num_classes:,} classes"
    )


def _document(title: str, subtitle: str, parts: list[Html], data: object) -> str:
    style, script = (_own(name) for name in ("report.css", "report.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    written = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    links = [
        tag("a", name, href=f"#{key}")
        for key, name in _NAVIGATION.items()
        if any(f'<section id="{key}"' in part for part in parts)
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", subtitle), tag("nav", *links, aria_label="Parts")),
        tag("main", *parts),
        tag("footer", tag("p", f"Written by mlt {__version__} on {written}.")),
        tag("script", script_json(data), type="application/json", id="data"),
        tag("script", script),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _own(name: str) -> Html:
    return Html(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
