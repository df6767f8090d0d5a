"""The page in a real browser: opened, clicked through, on a phone, in the dark and on paper."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlt.metrics import Calibration
from mlt.report import write_report
from mlt.report.runs import load_run

playwright = pytest.importorskip("playwright.sync_api")

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--no-first-run",
]  # fmt: skip
HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "dog", "yeti")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium: the system's, or playwright's own."""
    with playwright.sync_playwright() as p:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        path = path or p.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = p.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Open a file; whatever it complains of or asks the network for fails the test."""
    pages: list[Any] = []
    complaints: list[str] = []

    def open_file(file: Path, width: int = 1200, **options: Any) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((file.as_uri(), "data:"))
                else complaints.append(request.url)
            ),
        )
        page.goto(file.as_uri())
        return page

    yield open_file
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture
def one_run(make_run, tmp_path: Path) -> Path:
    run = make_run("mine")
    names = load_run(run).predictions.class_names
    steep = Calibration(names, (2.0,) * len(names), (0.0,) * len(names), "temperature")
    stored = {"calibration": steep.to_json(), "thresholds": None}
    (run / "last.decision.json").write_text(json.dumps(stored))
    return write_report([run], tmp_path / "one.html")


@pytest.fixture
def several_runs(make_run, tmp_path: Path) -> Path:
    runs = [make_run(f"focal-seed{s}", seed=s, class_names=HOSTILE) for s in range(2)]
    runs += [
        make_run(f"bce-seed{s}", seed=s, skill=4.0, config={"loss": {}}, class_names=HOSTILE)
        for s in range(2)
    ]
    return write_report(runs, tmp_path / "several.html")


def column(page: Any, table: str, number: int) -> list[str]:
    cells = page.locator(f"#table-{table} tbody tr:visible > :nth-child({number})")
    return cells.all_inner_texts()


def test_tables_sort_by_their_headings(visit, one_run: Path) -> None:
    page = visit(one_run)
    assert column(page, "classes", 1) == ["person", "cat", "dog", "yeti"]  # by training images
    name, ap = (page.locator(f"#table-classes thead th:nth-child({n})") for n in (1, 5))
    name.get_by_role("button").click()
    assert column(page, "classes", 1) == ["cat", "dog", "person", "yeti"]
    assert name.get_attribute("aria-sort") == "ascending"
    ap.get_by_role("button").focus()
    page.keyboard.press("Enter")  # numbers from the top, and by the keyboard too
    values = [float(text) for text in column(page, "classes", 5)]
    assert values == sorted(values, reverse=True)
    assert name.get_attribute("aria-sort") is None
    page.keyboard.press("Enter")
    assert [float(text) for text in column(page, "classes", 5)] == sorted(values)
    assert ap.get_attribute("aria-sort") == "ascending"


def test_tables_filter_by_name_and_group(visit, one_run: Path) -> None:
    page = visit(one_run)
    count = page.locator('[data-count="table-classes"]')
    field = page.locator('[data-filter="table-classes"]')
    field.fill("DO")
    assert column(page, "classes", 1) == ["dog"]
    assert count.inner_text() == "1 of 4 rows"
    field.fill("")
    page.locator('[data-group="table-classes"][value="tail"]').uncheck()
    assert column(page, "classes", 1) == ["person", "cat"]
    page.locator('[data-group="table-classes"][value="tail"]').check()
    assert count.inner_text() == "4 rows"


def test_a_class_is_chosen_in_three_ways(visit, one_run: Path) -> None:
    page = visit(one_run)
    facts, curve = page.locator("#facts"), page.locator('[data-curve="pr-chosen"]')
    assert facts.inner_text().startswith("person · head · 30 training")
    drawn = [curve.get_attribute("d")]
    page.locator("#choose-class").select_option(label="yeti (tail)")
    assert facts.inner_text().startswith("yeti · tail · 4 training")
    drawn.append(curve.get_attribute("d"))
    page.get_by_role("button", name="previous").click()
    assert facts.inner_text().startswith("dog")
    drawn.append(curve.get_attribute("d"))
    page.get_by_role("link", name="cat", exact=True).first.click()
    assert facts.inner_text().startswith("cat")
    page.locator("#choose-class").select_option(label="all classes together")
    assert facts.inner_text().startswith("all classes in one ranking")
    assert page.locator("#mistakes").inner_text() == ""
    page.get_by_role("button", name="next").click()
    assert facts.inner_text().startswith("person")
    assert len(set(drawn)) == 3
    for name in ("rel-chosen", "cal-calibrated"):
        assert page.locator(f'[data-curve="{name}"]').get_attribute("d").startswith("M")
        assert page.locator(f'[data-dots="{name}"]').get_attribute("d").count("h0") >= 1


def test_images_are_pictures(visit, one_run: Path) -> None:
    page = visit(one_run)
    pictures = page.locator("#mistakes img")
    assert pictures.count() >= 2
    assert pictures.evaluate_all("all => all.every(i => i.complete && i.naturalWidth == 32)")
    assert "person" in pictures.first.get_attribute("alt")


def test_methods_are_chosen_and_hostile_names_are_read(visit, several_runs: Path) -> None:
    page = visit(several_runs)
    facts = page.locator("#facts")
    assert facts.inner_text().startswith(HOSTILE[0])
    assert HOSTILE[1] in page.locator("#choose-class").inner_text()
    before = page.locator('[data-curve="pr-chosen"]').get_attribute("d")
    other = page.locator('[data-curve="pr-other"]').get_attribute("d")
    page.locator("#choose-method").select_option(label="focal")
    after = page.locator('[data-curve="pr-chosen"]').get_attribute("d")
    assert after == other != before
    assert column(page, "comparison", 1) == ["focal (baseline)", "bce"]
    page.locator("#comparison summary").click()
    page.locator('[data-group="table-differences"][value="total"]').uncheck()
    assert column(page, "differences", 2) == ["head", "medium", "tail"]
    assert page.locator("img").count() == page.locator("#mistakes img").count()


@pytest.fixture
def long_names(make_run, tmp_path: Path) -> Path:
    names = ("x" * 400, "word " * 80, "</script>" * 40, "雉" * 200)
    runs = [make_run("m" * 150, class_names=names)]
    runs += [make_run("n" * 150, class_names=names, config={"loss": {}})]
    return write_report(runs, tmp_path / "long.html")


@pytest.fixture
def long_names_of_one(long_names: Path, tmp_path: Path) -> Path:
    return write_report([tmp_path / "runs" / ("m" * 150)], tmp_path / "long1.html")


@pytest.mark.parametrize("which", ["one_run", "several_runs", "long_names", "long_names_of_one"])
def test_a_phone_has_no_sideways_page(visit, which: str, request: pytest.FixtureRequest) -> None:
    page = visit(request.getfixturevalue(which), width=375)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    for region in page.locator("[role=region]").all():
        assert region.get_attribute("tabindex") == "0"  # scrolls by the keyboard
        assert region.get_attribute("aria-label")


def test_the_dark_is_dark_and_paper_shows_whole_tables(visit, one_run: Path) -> None:
    page = visit(one_run)
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.body).color"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    dark, light = page.evaluate(paper), page.evaluate(ink)
    assert max(map(int, dark[4:-1].split(","))) < 60
    assert min(map(int, light[4:-1].split(","))) > 180
    page.emulate_media(color_scheme="light", media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".filters").first.is_visible()
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(s => s.scrollHeight <= s.clientHeight + 1)"
    )


def test_parts_have_names_for_those_who_cannot_see(visit, several_runs: Path) -> None:
    page = visit(several_runs)
    assert page.evaluate(
        "[...document.querySelectorAll('svg')].every("
        "s => s.getAttribute('role') === 'img' && s.querySelector('title').textContent)"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('input, select')].every("
        "e => e.getAttribute('aria-label') || e.closest('label'))"
    )
    assert page.locator("table caption").count() == page.locator("table").count()
    assert page.locator("h1").count() == 1
