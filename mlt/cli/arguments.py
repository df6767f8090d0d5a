"""Arguments that several commands have."""

from __future__ import annotations

import argparse

__all__ = ["add_overrides"]


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Declare ``--set KEY=VALUE ...``, which may be given more than once."""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help=f"change the configuration, for example {example}",
    )
