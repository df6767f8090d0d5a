"""Arguments that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_ensemble", "add_overrides", "add_path_table", "new_safetensors"]


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


def add_path_table(parser: argparse.ArgumentParser) -> None:
    """Declare what says how tables of image paths are read."""
    parser.add_argument(
        "--path-column", default="path", metavar="NAME", help="of a table (default: path)"
    )
    parser.add_argument(
        "--images",
        metavar="FOLDER",
        help="where the paths of a table start (default: the table's own folder)",
    )


def new_safetensors(output: str, overwrite: bool) -> Path:
    """The file that ``--output`` names.

    Raises:
        ConfigError: If it has another extension.
        OutputExistsError: If it is there already, and is not to be replaced.
    """
    from mlt.errors import ConfigError, OutputExistsError

    path = Path(output)
    if path.suffix != ".safetensors":
        raise ConfigError(f"--output must end in .safetensors; got {output!r}")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"--output: {path} exists already; --overwrite replaces it")
    return path
