"""The command `mlt effective-number`, also from a clone that is not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mlt.cli import main

if __name__ == "__main__":
    sys.exit(main(["effective-number", *sys.argv[1:]]))
