"""The tables of the page Configuration, made of the settings models when the site is built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlt.config.describe_keys import Section, describe_keys

__all__ = ["write_configuration_keys"]


def write_configuration_keys(file: Path) -> None:
    """Write the tables of all keys as Markdown.

    Args:
        file: Where to; its folder is made.
    """
    file.parent.mkdir(exist_ok=True)
    file.write_text(_markdown(describe_keys()), encoding="utf-8")


def _markdown(sections: Sequence[Section]) -> str:
    top = ""
    lines = ["## Top level", "", *_table(sections[0])]
    for section in sections[1:]:
        if (name := section.path.partition(".")[0]) != top:
            top = name
            lines += ["", f"## {top}"]
        form = f" {{{section.form}}}" if section.form else ""
        lines += ["", f"### `{section.path}{form}`", "", _escaped(section.description), ""]
        lines += _table(section)
    return "\n".join(lines) + "\n"


def _table(section: Section) -> list[str]:
    if not section.keys:
        return ["No other key."]
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key in section.keys:
        default = "required" if key.default is None else f"`{_escaped(key.default)}`"
        cells = (f"`{key.path}`", _escaped(key.type), default, _escaped(key.description))
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _escaped(text: str) -> str:
    """Text for a cell of a table: a bar or a star stands for itself."""
    return text.replace("|", r"\|").replace("*", r"\*")
