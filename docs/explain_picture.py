"""Make the picture of where labels were seen for the documentation.

    python docs/explain_picture.py RUN PHOTOGRAPHS... --output docs/explain.jpg

It is the upper part of the page that `mlt explain RUN PHOTOGRAPHS...` writes, seen in Chromium,
which must be installed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from report_picture import photograph

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mlt.cli import main as mlt
from mlt.files import atomic_write

WIDTH = 800


def main() -> None:
    """Write the page to a temporary folder, and its picture to the output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("photographs", metavar="PHOTOGRAPHS", nargs="+")
    parser.add_argument("--method", choices=["attention", "grad_cam"])
    parser.add_argument("--height", type=int, default=1780, help="of the picture, in pixels")
    parser.add_argument("--output", metavar="FILE.jpg", default="docs/explain.jpg")
    arguments = parser.parse_args()
    # The page shows paths: short ones, and none of this machine.
    run, output = Path(arguments.run).resolve(), Path(arguments.output).resolve()
    files = [Path(path).resolve() for path in arguments.photographs]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("runs").mkdir()
        (Path("runs") / run.name).symlink_to(run)
        for file in files:
            Path(file.name).symlink_to(file)
        command = ["explain", f"runs/{run.name}", *(file.name for file in files)]
        method = ["--method", arguments.method] if arguments.method else []
        if code := mlt([*command, *method]):
            sys.exit(code)
        with atomic_write(output) as temporary:
            photograph(Path("explained/index.html"), arguments.height, temporary, WIDTH)
        os.chdir("/")
    print(f"written to {output} ({output.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
