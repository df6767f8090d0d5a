"""What templates print: escaped in every place, never run, and never silently absent."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from mlt.report.methods import load_report
from mlt.report.page import make_page
from mlt.report.render import TEMPLATES, Section, render_page, render_table
from mlt.report.svg import element
from mlt.report.tables import Column, Table

NAMES = {
    "element": "<b onclick=alert(1)>b</b>",
    "end of script": "</script><script>alert(1)</script>",
    "comment": "<!-- <script> -->",
    "quotes": "\"'`> onmouseover=alert(1) x='\"",
    "entities": "&lt;i&gt; &amp; &#39;",
    "expression": "{{ 7*7 }}{{ config }}",
    "statement": "{% for x in y %}{# #}",
    "unicode": "Häher 雉 \u202egnp.exe\u2028 🦜",
    "long": "a very long name " * 60,
}


class Texts(HTMLParser):
    """The texts, the attributes' values and the names of the elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.values: list[str] = []
        self.names: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.values += [value or "" for _, value in attrs]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_names_are_printed_as_they_are_and_nothing_in_them_runs(make_run) -> None:
    names = tuple(NAMES.values())
    truth = np.random.default_rng(0).random((32, len(names))) < 0.4
    made = {
        "class_names": names,
        "image_ids": np.array([f"{i}{names[i % len(names)]}" for i in range(32)]),
        "targets": truth,
        "logits": truth + np.random.default_rng(1).normal(size=truth.shape).astype(np.float32),
        "class_counts": np.arange(len(names), 0, -1),
    }
    folders = [re.sub(r"[/\s]", "_", name[:60]) for name in names]
    runs = [
        make_run(folder, config={"model": {"backbone": name, "weights": "none"}}, **made)
        for folder, name in zip(folders, names)
    ]
    for number in (1, len(runs)):
        html = make_page(load_report(runs[:number])).html
        page = Texts(html)
        assert page.names.count("script") == 2
        assert not {"b", "i", "img"} & set(page.names)
        for name in names:  # in the table of classes; as backbones, in that of settings
            assert page.texts.count(name) >= (1 if number == 1 else 2)
        for folder in folders[:number]:
            assert folder in page.texts or f"{folder} (baseline)" in page.texts
        data = re.search(r'id="data">(.*?)</script>', html)[1]
        assert not set("<>&'") & set(data)
        assert [c[0] for c in json.loads(data)["classes"]] == list(names)
        shown = {image[0] for image in json.loads(data)["images"].values()}
        assert shown <= set(made["image_ids"].tolist())


def test_tables_print_titles_hints_and_notes_as_they_are() -> None:
    name = NAMES["quotes"] + NAMES["element"]
    table = Table("t", name, [Column(name, hint=name)], [[name]], note=name)
    page = Texts(render_table(table, filters=True))
    assert [text for text in page.texts if text.strip()] == ["1 rows", name, name, name, name]
    assert page.values.count(name) == 2  # the name of the region, and the hint
    assert f"Filter {name} by name" in page.values


def test_drawings_escape_texts_and_attributes() -> None:
    name = NAMES["quotes"] + NAMES["element"]
    page = Texts(element("text", name, Markup("<tspan/>"), class_=name, x=None))
    assert (page.texts, page.names, page.values) == ([name], ["text", "tspan"], [name])


def test_a_value_that_a_template_does_not_get_is_an_error() -> None:
    page = {"title": "t", "subtitle": "s", "version": "1", "date": "d"}
    with pytest.raises(UndefinedError, match="'config' is undefined"):
        render_page([Section("runs", {"runs": Table("t", "", [], []), "settings": None})], **page)
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        render_page([], **{key: value for key, value in page.items() if key != "title"})


def test_data_that_is_not_json_is_refused() -> None:
    names = ("compared", "colors", "notes", "precision_recall", "reliability")
    values = {**dict.fromkeys(names, ""), "num_images": 1, "num_runs": 1, "data": [float("nan")]}
    with pytest.raises(ValueError, match="JSON"):
        render_page([Section("one_class", values)])


def test_no_template_prints_anything_unescaped() -> None:
    templates = sorted(TEMPLATES.glob("*.jinja"))
    assert len(templates) > 5
    for path in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text()), path
