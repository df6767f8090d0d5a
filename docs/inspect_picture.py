"""Make the picture of an inspection for the documentation.

    python docs/inspect_picture.py digits_mlt_cb_focal --output docs/inspect.png

It is the upper part of what `mlt inspect CONFIG --html` writes, seen in Chromium, which must be
installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from report_picture import photograph

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mlt.cli import main as mlt
from mlt.files import atomic_write


def main() -> None:
    """Write the page to a temporary folder, and its picture to the output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--height", type=int, default=1150, help="of the picture, in pixels")
    parser.add_argument("--output", metavar="FILE.png", default="docs/inspect.png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "data.html"
        if code := mlt(["inspect", arguments.config, "--html", str(page)]):
            sys.exit(code)
        with atomic_write(arguments.output) as temporary:
            photograph(page, arguments.height, temporary)
    print(f"written to {arguments.output} ({Path(arguments.output).stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
