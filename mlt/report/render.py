"""From plain values to HTML, through the templates in ``templates/``.

Templates escape what they print, and a value that a template asks for but does not get is an
error. What they print as it is comes from :mod:`mlt.report.svg` or from the files beside them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from mlt.report.format import format_value
from mlt.report.tables import Table

__all__ = ["Section", "render_page", "render_table"]

TEMPLATES = Path(__file__).with_name("templates")

REPORT_SCRIPTS = ("tables.js", "report.js")
"""What the page of a report needs; that of other sections may do with tables."""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: Its template is ``section_NAME.html.jinja``; also the id that the navigation leads to,
            and in words what it says.
        values: What the template lays out.
    """

    name: str
    values: Mapping[str, Any]

    @property
    def tables(self) -> list[Table]:
        """The tables among its values."""
        return [value for value in self.values.values() if isinstance(value, Table)]


def render_page(
    sections: Sequence[Section],
    *,
    templates: Path = TEMPLATES,
    scripts: Sequence[str] = REPORT_SCRIPTS,
    **values: str,
) -> str:
    """Lay out the page: one file that loads nothing and runs only the script it came with.

    Args:
        sections: From top to bottom.
        templates: The folder of their templates, which come before those of the report.
        scripts: What runs, one after the other.
        **values: What ``page.html.jinja`` asks for besides.
    """
    environment = _environment(templates)
    rendered = {
        section.name: Markup(
            environment.get_template(f"section_{section.name}.html.jinja").render(section.values)
        )
        for section in sections
    }
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in scripts)
    return environment.get_template("page.html.jinja").render(
        sections=rendered,
        style=Markup(style), style_digest=_digest(style),
        script=Markup(script), script_digest=_digest(script),
        **values,
    )  # fmt: skip


def render_table(table: Table, filters: bool = False) -> str:
    """Lay out one table that sorts by its headings, as sections show it.

    Args:
        table: The table.
        filters: Whether a text field and the groups above it choose rows.
    """
    macros = _environment().get_template("table.html.jinja").module
    return str(macros.sortable_table(table, filters))  # type: ignore[attr-defined]


class _Unindented(Extension):
    """Leave out the indentation of templates, which is for those who read them."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return re.sub(r"^[ \t]+", "", source, flags=re.MULTILINE)


@cache
def _environment(templates: Path = TEMPLATES) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([templates, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[_Unindented],
        trim_blocks=True,
    )
    environment.filters["format_value"] = format_value
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
