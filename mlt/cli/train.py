"""`mlt train`: train and evaluate a model from a configuration."""

from __future__ import annotations

import argparse

from mlt.cli.arguments import add_overrides
from mlt.cli.process import import_timm

DESCRIPTION = """\
Train and evaluate a model from a configuration.

  mlt train digits_mlt_cb_focal
  mlt train configs/coco_mlt_cb_focal.yaml --set data.root=/data/coco optimizer.lr=0.01
  mlt train my.yaml --dry-run
  torchrun --nproc-per-node 4 -m mlt train my.yaml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "config",
        metavar="CONFIG",
        nargs="?",
        default="digits_mlt_cb_focal",
        help="a YAML file, or the name of a configuration that comes with mlt "
        "(default: %(default)s, on the embedded data)",
    )
    add_overrides(parser, "optimizer.lr=0.01")
    parser.add_argument("--output", metavar="RUN_DIR", help="folder of the run (sets `output`)")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue an interrupted run")
    existing.add_argument(
        "--auto-resume",
        action="store_const",
        const="auto",
        dest="resume",
        help="continue if there is something to continue, else start: for jobs that are repeated",
    )
    existing.add_argument("--overwrite", action="store_true", help="replace an earlier run")
    existing.add_argument(
        "--dry-run",
        action="store_true",
        help="print the resolved configuration, the data, the model and the steps; do not train",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.config import load_config
    from mlt.runtime.processes import joined

    overrides = list(arguments.overrides)
    if arguments.output:
        # As JSON, so that no character of a path is taken for YAML.
        import json

        overrides.append(f"output={json.dumps(arguments.output)}")
    with joined() as processes:
        with processes.together():
            config = load_config(arguments.config, overrides)
        import_timm()
        if arguments.dry_run:
            from mlt.cli.describe import describe

            processes.on_main(lambda: print(describe(config)))
            return 0
        from mlt.engine.train import train
        from mlt.metrics import result_table

        summary = train(config, resume=arguments.resume, overwrite=arguments.overwrite)
        if processes.is_main:
            print(result_table(summary))
    return 0
