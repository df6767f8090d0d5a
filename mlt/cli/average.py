"""`mlt average`: the weights of several checkpoints, averaged."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from mlt.cli.arguments import add_overrides, new_safetensors

DESCRIPTION = """\
Average the weights of checkpoints of one architecture (a model soup), for example of several seeds
of a run that start from the same pretrained weights. The result is a checkpoint like any other.

  mlt average runs/seed0 runs/seed1 runs/seed2 --output soup.safetensors
  mlt average a.safetensors b.safetensors --greedy my.yaml --output soup.safetensors

With --greedy only those go in that do not lower the mAP on the validation images of CONFIG."""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "checkpoints",
        metavar="CHECKPOINT",
        nargs="+",
        help=".safetensors files, or run folders, which stand for their last.safetensors",
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="a .safetensors file")
    parser.add_argument(
        "--greedy", metavar="CONFIG", help="choose among them by its validation images"
    )
    add_overrides(parser, "data.root=/data/coco")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.errors import ConfigError

    output = new_safetensors(arguments.output, arguments.overwrite)
    if arguments.overrides and arguments.greedy is None:
        raise ConfigError("--set changes the configuration of --greedy, which is not given")
    from mlt.models.average import average_weights
    from mlt.models.checkpoint import save_checkpoint

    given = [Path(path) for path in arguments.checkpoints]
    paths = [path / "last.safetensors" if path.is_dir() else path for path in given]
    if arguments.greedy is not None:
        from mlt.config import load_config
        from mlt.engine.soup import greedy_soup

        paths = greedy_soup(paths, load_config(arguments.greedy, arguments.overrides))
    weights, info = average_weights(paths)
    save_checkpoint(output, weights, info)
    logger.info("the average of %s is in %s", ", ".join(map(str, paths)), output)
    return 0
