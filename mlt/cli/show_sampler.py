"""`mlt show-sampler`: what a sampler will do, before it does it."""

from __future__ import annotations

import argparse

from mlt.cli.arguments import add_overrides

DESCRIPTION = """\
Print how often an epoch of a configuration's sampler draws each class, beside the plain counts.

  mlt show-sampler coco_mlt_cb_focal --set 'sampler={name: class_aware}'
  mlt show-sampler my.yaml --set 'sampler={name: repeat_factor, threshold: 0.01}'"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of one of mlt's")
    add_overrides(parser, "'sampler={name: class_aware}'")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.class_groups import GroupLimits
    from mlt.cli.split_tables import draws_table
    from mlt.config import load_config
    from mlt.data.run_data import training_split
    from mlt.data.samplers import build_sampler, expected_draws
    from mlt.engine.unseen_classes import without_unseen
    from mlt.run_folder import RunFolder

    config = load_config(arguments.config, arguments.overrides)
    _, train = training_split(config.data, RunFolder(config.output).cache)
    train, _ = without_unseen(train, config.evaluation.unseen)
    limits = GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail)
    class_counts = train.class_counts(limits)
    sampler = build_sampler(config.sampler, train, class_counts, config.seed)
    print(f"{config.sampler.name}: {sampler.num_draws} draws an epoch from {len(train)} images")
    print(draws_table(class_counts, expected_draws(sampler, train)))
    return 0
