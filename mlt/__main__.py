"""`python -m mlt`."""

import sys

from mlt.cli import main

if __name__ == "__main__":
    sys.exit(main())
