"""Make the README's picture of a report.

    python docs/report_picture.py RUN... --output docs/report.png

It is the upper part of what `mlt report RUN...` writes, seen in Chromium, which must be installed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mlt.files import atomic_write
from mlt.report import write_report

WIDTH = 1200


def main() -> None:
    """Write the report to a temporary folder, and its picture to the output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", metavar="RUN", nargs="+")
    parser.add_argument("--baseline", metavar="NAME")
    parser.add_argument("--height", type=int, default=1150, help="of the picture, in pixels")
    parser.add_argument("--output", metavar="FILE.png", default="docs/report.png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(arguments.runs, page, baseline=arguments.baseline, thumbnails=False)
        with atomic_write(arguments.output) as temporary:
            photograph(page, arguments.height, temporary)
    print(f"written to {arguments.output} ({Path(arguments.output).stat().st_size / 1e3:.0f} kB)")


def photograph(page: Path, height: int, output: Path, width: int = WIDTH) -> None:
    """Write the upper part of an HTML file as PNG or JPEG, as the output's name says."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        sys.exit("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        view.goto(page.resolve().as_uri())
        view.screenshot(path=output)
        browser.close()


if __name__ == "__main__":
    main()
