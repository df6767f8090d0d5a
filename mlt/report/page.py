"""The report as a whole: its sections, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from mlt import __version__
from mlt.errors import ConfigError, OutputExistsError
from mlt.files import write_text_atomic
from mlt.report.comparison import compare_methods
from mlt.report.images import Images, find_images
from mlt.report.methods import Report, load_report
from mlt.report.page_data import page_data
from mlt.report.render import Section, render_page
from mlt.report.section_classes import classes_section, compared_classes_section
from mlt.report.section_comparison import comparison_section
from mlt.report.section_one_class import one_class_section
from mlt.report.section_pairs import pairs_section
from mlt.report.section_runs import runs_section
from mlt.report.section_summary import summary_section
from mlt.report.section_thresholds import thresholds_section
from mlt.report.section_training import training_section
from mlt.report.section_where_seen import where_seen_section
from mlt.report.tables import Table

__all__ = ["Page", "check_output", "make_page", "write_report", "write_tables"]

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


def write_report(
    runs: Sequence[str | Path],
    output: str | Path,
    *,
    baseline: str | None = None,
    thumbnails: bool = True,
    where_seen: bool = False,
) -> Path:
    """Write one self-contained HTML file about one run, or a comparison of several.

    Runs whose configurations differ only in their seed are one method. All must be evaluated on the
    same images with the same classes. A file that is there already is replaced.

    Args:
        runs: Run folders, or any folder with ``predictions.npz``.
        output: The file.
        baseline: What the other methods are compared with: a method's name or a run's folder. By
            default the method of the first run.
        thumbnails: Whether to embed the most wrong images, where the image files are available.
        where_seen: Whether to show where labels were seen on the worst mistakes of tail classes,
            which takes a checkpoint, the images and a forward pass for each; of one method only.

    Returns:
        The file that was written.

    Raises:
        MissingFileError: If a folder has no predictions.
        DataError: If the runs are of different images, classes or targets.
        ConfigError: If the baseline is not one of the runs, a run is given twice, or
            ``where_seen`` is asked of several methods.
    """
    report = load_report(runs, baseline)
    page = make_page(report, thumbnails=thumbnails, where_seen=where_seen)
    write_text_atomic(output, page.html)
    return Path(output)


def make_page(report: Report, *, thumbnails: bool = True, where_seen: bool = False) -> Page:
    """Compute and lay out everything.

    Args:
        report: What it is about.
        thumbnails: Whether to embed the most wrong images.
        where_seen: Whether to show where labels were seen, see :func:`write_report`.
    """
    if where_seen and not report.single:
        raise ConfigError(
            f"where labels were seen is shown of one method, and there are {len(report.methods)}: "
            "make a report of one of them"
        )
    if thumbnails:
        images = find_images(report.baseline.first)
    else:
        images = Images(note="The report was made without images.")
    one_class = one_class_section(report, page_data(report, images))
    make = _method_sections if report.single else _comparison_sections
    sections = make(report, one_class)
    if where_seen:
        sections.insert(sections.index(one_class) + 1, where_seen_section(report, images))
    html = render_page(
        sections,
        title=_title(report),
        subtitle=_subtitle(report),
        version=__version__,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    )
    return Page(html, tuple(table for section in sections for table in section.tables))


def write_tables(tables: Sequence[Table], folder: str | Path) -> list[Path]:
    """Write each table as Markdown, CSV and LaTeX."""
    written = []
    for table in tables:
        for suffix, write in TABLE_FORMATS.items():
            path = Path(folder) / f"{table.name}.{suffix}"
            write_text_atomic(path, write(table).rstrip("\n") + "\n")
            written.append(path)
    return written


def check_output(
    output: Path, tables: Path | None, overwrite: bool, option: str = "--output"
) -> None:
    """Refuse to write over what is there unless told to.

    Args:
        output: The page.
        tables: The folder of its tables.
        overwrite: Whether it was told to.
        option: How the command line names the page.

    Raises:
        OutputExistsError: If the file or tables are there already, or are of the wrong kind.
    """
    if output.is_dir():
        raise OutputExistsError(f"{option} {output} is a folder; name a file such as report.html")
    if output.exists() and not overwrite:
        raise OutputExistsError(f"{option} {output} is there already; --overwrite replaces it")
    if tables is None:
        return
    if tables.exists() and not tables.is_dir():
        raise OutputExistsError(f"--tables {tables} is a file; name a folder")
    taken = [p.name for suffix in TABLE_FORMATS for p in tables.glob(f"*.{suffix}")]
    if taken and not overwrite:
        raise OutputExistsError(
            f"--tables {tables} has {taken[0]} already; --overwrite replaces it"
        )


def _method_sections(report: Report, one_class: Section) -> list[Section]:
    thresholds = thresholds_section(report)
    return [
        summary_section(report),
        classes_section(report),
        one_class,
        pairs_section(report),
        *([thresholds] if thresholds else []),
        training_section(report),
        runs_section(report),
    ]


def _comparison_sections(report: Report, one_class: Section) -> list[Section]:
    compared = compare_methods(report)
    return [
        comparison_section(compared),
        compared_classes_section(compared),
        one_class,
        training_section(report),
        runs_section(report),
    ]


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
        f"{trained}{report.class_counts.num_classes:,} classes"
    )
