"""The page of an inspection in a real browser: nothing is loaded, and its tables work."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlt.data.labels import LabelTable
from mlt.inspection import inspect_data, inspection_page

playwright = pytest.importorskip("playwright.sync_api")

NAMES = ["person", "</script><script>alert(2)</script>", "<img src=x onerror=alert(1)>"]


def test_the_page_sorts_and_filters_and_loads_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg")
    labels = [[0], [0, 1], [0, 2], [0], [1], []]
    table = LabelTable.from_lists(range(6), [f"{i}.jpg" for i in range(6)], NAMES, labels, tmp_path)
    file = tmp_path / "data.html"
    file.write_text(inspection_page(inspect_data({"train": table, "test": table}), "<b>mine</b>"))
    complaints: list[str] = []
    with playwright.sync_playwright() as p:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        path = path or p.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on(
            "request",
            lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url),
        )
        page.goto(file.as_uri())
        names = page.locator("#table-classes tbody th")
        assert names.all_inner_texts() == [NAMES[2], NAMES[1], NAMES[0]]  # the rarest first
        page.locator("#table-classes thead button", has_text="train").click()
        assert names.all_inner_texts()[0] == "person"
        page.get_by_placeholder("Filter by name").first.fill("person")
        assert page.locator("#table-classes tbody tr:visible").count() == 1
        images = page.locator("#rarest_classes img")
        assert images.count() == 4 + 2 + 1
        assert images.first.evaluate("image => image.naturalWidth") > 0
        assert page.title() == "<b>mine</b>"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1200
        browser.close()
    assert complaints == []
