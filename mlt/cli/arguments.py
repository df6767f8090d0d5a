"""Arguments that several commands have."""

from __future__ import annotations

import argparse

__all__ = ["add_ensemble", "add_overrides"]


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


def add_ensemble(parser: argparse.ArgumentParser) -> None:
    """Declare ``--ensemble``, of commands that take several checkpoints."""
    parser.add_argument(
        "--ensemble",
        choices=["probabilities", "logits"],
        default="probabilities",
        help="what is averaged over several (default: %(default)s); `mlt average` averages weights",
    )
